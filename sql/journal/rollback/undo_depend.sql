-- Turns rows away that cannot be undone because of other rows, until nothing changes any more: a row that is left alone
-- may be what another one needs.
create function journal.undo_depend() returns void
language plpgsql volatile
as $undo_depend$
declare
    found_more bigint;
    item       record;
begin
    loop
        found_more := 0;
        for item in select u.relation from pg_temp.journal_undo u where u.target is not null order by u.relation loop
            perform journal.undo_summarize(item.relation);
            found_more := found_more + journal.undo_check_referenced(item.relation) + journal.undo_check_referencing(item.relation)
                        + journal.undo_check_unique(item.relation) + journal.undo_check_constraints(item.relation);
        end loop;
        exit when found_more = 0;
    end loop;
end
$undo_depend$;

comment on function journal.undo_depend() is 'Turns rows of a rollback away that other rows stand in the way of. Private.';
