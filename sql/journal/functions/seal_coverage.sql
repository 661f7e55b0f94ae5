-- The last step of cover: remembers the triggers as they were created.
create function journal.seal_coverage(relation regclass) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $seal_coverage$
begin
    if cardinality(journal.trigger_marks(relation)) <> 4 then
        raise exception using errcode = 'JR029', message = format('the capture triggers of %s are not complete', relation);
    end if;
    update journal.covered_table c
       set trigger_marks = journal.trigger_marks(seal_coverage.relation), covered_at = clock_timestamp()
     where c.relation = seal_coverage.relation and c.trigger_marks <> journal.trigger_marks(seal_coverage.relation);
end
$seal_coverage$;

comment on function journal.seal_coverage(regclass) is 'Remembers the capture triggers of a table as they are. Private: call journal.cover.';
