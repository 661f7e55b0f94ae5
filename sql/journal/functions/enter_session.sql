-- Whether a session may be bound now. A mark in journal.stop is looked for before the row lock is asked for, so overlapping
-- steps cannot starve a rollback; the lock waits for a rollback, and fails where a snapshot is too old to see its outcome.
create function journal.enter_session(session_id uuid) returns journal.session
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $enter_session$
declare
    entered journal.session;
begin
    select s.* into entered from journal.session s where s.session_id = enter_session.session_id;
    if not found then
        perform journal.raise_unknown_session(enter_session.session_id);
    end if;
    perform journal.refuse_stopped(entered.session_id, entered.agent);
    select s.* into entered from journal.session s where s.session_id = enter_session.session_id for share;
    if entered.status <> 'open' then
        raise exception using
            errcode = case entered.status when 'stopped' then 'JR011' else 'JR010' end,
            message = format('session %s is %s%s', entered.session_id, entered.status, coalesce(': ' || nullif(entered.status_reason, ''), '')),
            hint = 'open a new session';
    end if;
    if entered.db_user <> session_user then
        raise exception using
            errcode = 'JR012', message = format('session %s was opened by another database user', entered.session_id),
            hint = 'a session is used by the database user that opened it; open one of your own';
    end if;
    return entered;
end
$enter_session$;

comment on function journal.enter_session(uuid) is 'Locks an open session of the caller''s for the transaction. Private: call journal.bind.';
