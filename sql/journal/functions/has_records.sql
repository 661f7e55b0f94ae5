-- Whether a table has rows in whole form, which cover would bring into typed form.
create function journal.has_records(relation regclass) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $has_records$
declare
    record_id integer;
    found     boolean := false;
begin
    select s.segment_id into record_id from journal.segment s
     where s.relation = has_records.relation and s.until_at is null and s.kind = 'record';
    if record_id is not null then
        execute format('select exists (select from journal.segment_%s)', record_id) into found;
    end if;
    return found;
end
$has_records$;

comment on function journal.has_records(regclass) is 'Whether writes of a table met a shape that cover had not seen.';
