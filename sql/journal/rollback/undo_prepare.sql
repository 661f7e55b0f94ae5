-- Plans: work tables, probes, locks (unless only a plan is asked for), and the status of every row.
create function journal.undo_prepare(session_ids uuid[], step_ids uuid[], locking boolean, deadline timestamptz) returns void
language plpgsql volatile
as $undo_prepare$
declare
    item record;
begin
    perform journal.undo_progress('reading what the session changed');
    perform journal.undo_begin(session_ids, step_ids);
    for item in select u.relation from pg_temp.journal_undo u where u.target is not null order by u.relation loop
        update pg_temp.journal_undo u set maintained = journal.undo_probe(item.relation) where u.relation = item.relation;
    end loop;
    if locking then
        perform journal.undo_progress('locking rows');
        perform journal.undo_lock(deadline);
    end if;
    for item in select u.relation, u.table_name from pg_temp.journal_undo u where u.target is not null order by u.relation loop
        perform journal.undo_progress('comparing ' || item.table_name);
        perform journal.undo_classify(item.relation);
        perform journal.undo_check_privileges(item.relation);
    end loop;
    perform journal.undo_depend();
end
$undo_prepare$;

comment on function journal.undo_prepare(uuid[], uuid[], boolean, timestamptz) is 'Plans a rollback in work tables. Private.';
