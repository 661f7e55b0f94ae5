-- Drops the capture functions of a table that no trigger calls any more.
create function journal.drop_captures(relation regclass) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $drop_captures$
declare
    unused record;
begin
    for unused in
        select c.capture_id
          from journal.capture c
          join journal.segment s using (segment_id)
         where s.relation = drop_captures.relation
           and not exists (select from pg_trigger t where t.tgfoid = to_regproc('journal.capture_' || c.capture_id))
    loop
        delete from journal.capture c where c.capture_id = unused.capture_id;
        execute format('drop function if exists journal.%I()', 'capture_' || unused.capture_id);
    end loop;
end
$drop_captures$;

comment on function journal.drop_captures(regclass) is 'Drops capture functions of a table that no trigger calls.';
