-- From here on the transaction's changes belong to the session (and step), until it ends or is bound anew.
create function journal.bind(session_id uuid, step_id uuid default null) returns xid8
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $bind$
begin
    perform journal.enter_session(bind.session_id);
    if bind.step_id is not null
       and not exists (select from journal.step s where s.step_id = bind.step_id and s.session_id = bind.session_id) then
        raise exception using
            errcode = 'JR013', message = format('session %s has no step %s', bind.session_id, bind.step_id),
            hint = 'journal.begin_step begins one and binds it';
    end if;
    perform journal.set_binding(bind.session_id, bind.step_id);
    return pg_current_xact_id();
end
$bind$;

comment on function journal.bind(uuid, uuid) is
    'Binds the transaction to an open session of the caller''s: its changes and messages belong to it from here on. Raises UnknownSession, SessionClosed, SessionStopped, NotSessionOwner, AlreadyBound. Returns the transaction''s id.';
