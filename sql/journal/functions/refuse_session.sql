-- Why a session may not be used: it is not there, not open, or another user's.
create function journal.refuse_session(session_id uuid, there journal.session) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $refuse_session$
begin
    if there.session_id is null then
        perform journal.raise_unknown_session(refuse_session.session_id);
    elsif there.status <> 'open' then
        raise exception using
            errcode = case there.status when 'stopped' then 'JR011' else 'JR010' end,
            message = format('session %s is %s%s', there.session_id, there.status, coalesce(': ' || nullif(there.status_reason, ''), '')),
            hint = 'open a new session';
    else
        raise exception using
            errcode = 'JR012', message = format('session %s was opened by another database user', there.session_id),
            hint = 'a session is used by the database user that opened it; open one of your own';
    end if;
end
$refuse_session$;

comment on function journal.refuse_session(uuid, journal.session) is 'Raises UnknownSession, SessionClosed, SessionStopped or NotSessionOwner. Private.';
