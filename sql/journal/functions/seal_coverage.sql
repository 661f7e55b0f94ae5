-- The last step of cover: remembers the triggers as they were created, and drops capture functions that no trigger calls.
create function journal.seal_coverage(relation regclass) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $seal_coverage$
declare
    marks constant text[] := journal.trigger_marks(relation);
begin
    if cardinality(marks) <> (select sum(case when r.kind = 'p' then 3 else 4 end) from journal.relations_of(seal_coverage.relation) r) then
        raise exception using errcode = 'JR029', message = format('the capture triggers of %s are not complete', relation);
    end if;
    update journal.covered_table c
       set trigger_marks = marks, covered_at = clock_timestamp()
     where c.relation = seal_coverage.relation and c.trigger_marks <> marks;
    perform journal.drop_captures(relation);
end
$seal_coverage$;

comment on function journal.seal_coverage(regclass) is 'Remembers the capture triggers of a table as they are. Private: call journal.cover.';
