-- Whose trigger a capture function serves; constant for a capture, so planned once in each connection.
create function journal.captured_relation(capture_id integer) returns oid
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $captured_relation$
declare
    relation oid;
begin
    select c.relation into strict relation from journal.capture c where c.capture_id = captured_relation.capture_id;
    return relation;
end
$captured_relation$;

comment on function journal.captured_relation(integer) is 'The relation that a capture function was written for.';
