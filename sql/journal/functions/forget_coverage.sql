-- The definer half of uncover: closes the segments, forgets the options, drops the capture functions.
create function journal.forget_coverage(relation regclass) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $forget_coverage$
begin
    perform journal.check_owner(forget_coverage.relation);
    perform journal.note_gap(forget_coverage.relation);
    if cardinality(journal.trigger_marks(relation)) > 0 then
        raise exception using
            errcode = 'JR029', message = format('%s still has capture triggers', relation), hint = 'call journal.uncover, which drops them first';
    end if;
    delete from journal.covered_table c where c.relation = forget_coverage.relation;
    perform journal.drop_captures(relation);
    update journal.segment s set until_at = clock_timestamp() where s.relation = forget_coverage.relation and s.until_at is null;
end
$forget_coverage$;

comment on function journal.forget_coverage(regclass) is 'Forgets the coverage of a table without capture triggers. Private: call journal.uncover.';
