-- Turns rows away that cannot be undone because of other rows, until nothing changes any more: a row that is left alone
-- may be what another one needs.
create function journal.undo_depend() returns void
language plpgsql volatile
as $undo_depend$
declare
    turned_away bigint;
    found_more  boolean;
    item        record;
begin
    loop
        found_more := false;
        for item in select u.relation, u.moves, u.moves or u.removes as leaves, u.moves or u.reinserts as comes from pg_temp.journal_undo u where u.target is not null order by u.relation loop
            turned_away := case when item.leaves then journal.undo_check_referenced(item.relation) else 0 end + journal.undo_check_referencing(item.relation)
                         + case when item.comes then journal.undo_check_unique(item.relation) + journal.undo_check_unique_index(item.relation) + journal.undo_check_each_other(item.relation) else 0 end
                         + case when item.moves then journal.undo_check_circles(item.relation) else 0 end
                         + journal.undo_check_constraints(item.relation) + journal.undo_check_identity(item.relation);
            if turned_away > 0 then
                found_more := true;
                perform journal.undo_group(item.relation);
            end if;
        end loop;
        exit when not found_more and not journal.undo_leave_to_triggers() and not journal.undo_leave_entangled();
    end loop;
end
$undo_depend$;

comment on function journal.undo_depend() is 'Turns rows of a rollback away that other rows stand in the way of. Private.';
