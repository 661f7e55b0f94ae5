-- A rollback is a session: what it writes is journaled under its own id and can be rolled back.
create function journal.undo_enter(reason text) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $undo_enter$
declare
    rollback_id constant uuid := outbox.uuid7();
begin
    insert into journal.session (session_id, kind, agent, task, status, closed_at, db_user, db_role, application_name)
    values (rollback_id, 'rollback', session_user, undo_enter.reason, 'closed', clock_timestamp(), session_user, journal.caller(),
            current_setting('application_name'));
    perform journal.set_binding(rollback_id, null);
    return rollback_id;
end
$undo_enter$;

comment on function journal.undo_enter(text) is 'Opens the session of a rollback and binds the transaction to it. Private.';
