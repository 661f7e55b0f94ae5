-- Applies a plan. Changed keys first, in statements of their own. Then everything that the sessions did themselves, in one
-- statement: foreign keys are checked at its end, so the order of tables does not matter. Then what triggers did for them
-- (depth above 1): by now the triggers have mostly undone it, and only the difference is written.
create function journal.undo_apply() returns void
language plpgsql volatile
as $undo_apply$
declare
    item record;
begin
    for item in select u.relation from pg_temp.journal_undo u where u.target is not null order by u.relation loop
        perform journal.undo_apply_keys(item.relation);
    end loop;
    perform journal.undo_apply_rows(false);
    perform journal.undo_apply_rows(true);
end
$undo_apply$;

comment on function journal.undo_apply() is 'Applies the plan in the work tables. Private.';
