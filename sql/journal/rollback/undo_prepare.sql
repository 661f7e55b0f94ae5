-- Plans: work tables, probes, the status of every row, and locks unless only a plan is asked for. False: rows changed while
-- it planned, and it must plan again. Where keys or unique values change or triggers did part of the work, all rows are locked:
-- then other statements of the rollback itself may touch them, and their xmin guards nothing.
create function journal.undo_prepare(session_ids uuid[], step_ids uuid[], on_conflict text, locking boolean, thorough boolean) returns boolean
language plpgsql volatile
as $undo_prepare$
declare
    item     record;
    stirring boolean := thorough;
begin
    perform journal.undo_progress('reading what the session changed');
    perform journal.undo_begin(session_ids, step_ids);
    for item in select u.relation from pg_temp.journal_undo u where u.target is not null order by u.relation loop
        if on_conflict = 'force' then
            perform journal.undo_force(item.relation);
        end if;
        perform journal.undo_check_coverage(item.relation, session_ids, step_ids), journal.undo_check_privileges(item.relation);
        stirring := stirring or journal.undo_by_triggers(item.relation);
    end loop;
    update pg_temp.journal_undo u set moves = true where u.target is not null and journal.undo_moves(u.relation);
    stirring := stirring or found;
    update pg_temp.journal_undo_args set thorough = stirring, skipping = undo_prepare.on_conflict = 'skip';
    if locking then
        perform journal.undo_progress('locking rows');
        if not journal.undo_lock(stirring) then
            return false;
        end if;
    end if;
    perform journal.undo_progress('checking what depends on them');
    perform journal.undo_depend();
    return true;
end
$undo_prepare$;

comment on function journal.undo_prepare(uuid[], uuid[], text, boolean, boolean) is 'Plans a rollback in work tables; false: plan again. Private.';
