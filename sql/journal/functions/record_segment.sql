-- The segment that takes rows of unknown shapes. One that holds rows is brought into typed form, and an empty one follows.
create function journal.record_segment(current journal.segment) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $record_segment$
declare
    record_id integer;
    written   boolean;
begin
    select s.segment_id into record_id from journal.segment s
     where s.relation = current.relation and s.until_at is null and s.kind = 'record';
    if found then
        execute format('select exists (select from journal.segment_%s)', record_id) into written;
        if not written then
            return record_id;
        end if;
        perform journal.type_records(record_id, current);
    end if;
    current.kind := 'record';
    current.attnums := '{}'; current.names := '{}'; current.types := '{}'; current.image_types := '{}'; current.key := '{}';
    return (journal.add_segment(current)).segment_id;
end
$record_segment$;

comment on function journal.record_segment(journal.segment) is 'The empty segment for rows of unknown shapes; one that is not empty is brought into typed form.';
