-- Waits until the session's running transactions have ended. Closing what is not open any more changes nothing.
create function journal.close_session(session_id uuid, status text default 'closed', reason text default null) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $close_session$
declare
    owner name;
begin
    if coalesce(close_session.status, '') not in ('closed', 'failed') then
        raise exception using
            errcode = 'JR008', message = 'a session is closed as closed or failed', hint = 'journal.stop_session stops it';
    end if;
    select s.db_user into owner from journal.session s where s.session_id = close_session.session_id;
    if not found then
        perform journal.raise_unknown_session(close_session.session_id);
    end if;
    if owner <> session_user then
        raise exception using
            errcode = 'JR012', message = format('session %s was opened by another database user', close_session.session_id),
            hint = 'an operator stops sessions of others: journal.stop_session';
    end if;
    update journal.session s
       set status = close_session.status, status_reason = close_session.reason, closed_at = clock_timestamp()
     where s.session_id = close_session.session_id and s.status = 'open'
       and not exists (select from journal.stop p where p.session_id = s.session_id and p.lifted_at is null);
end
$close_session$;

comment on function journal.close_session(uuid, text, text) is
    'Closes a session of the caller''s as closed or failed. Does nothing to one that is not open. Raises UnknownSession, NotSessionOwner.';
