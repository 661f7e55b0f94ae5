-- As enter_session, for a step that waits only so long for what holds its session.
create function journal.enter_session_of_step(session_id uuid, tool text, key text, wait interval) returns journal.session
language plpgsql volatile
as $enter_session_of_step$
declare
    entered  journal.session;
    patience text := current_setting('lock_timeout');
begin
    begin
        perform set_config('lock_timeout', journal.lock_timeout_of(wait), true);
        entered := journal.enter_session(session_id);
    exception
        when lock_not_available then
            perform journal.raise_held(tool, key);
    end;
    patience := set_config('lock_timeout', patience, true);
    return entered;
end
$enter_session_of_step$;

comment on function journal.enter_session_of_step(uuid, text, text, interval) is
    'As journal.enter_session; raises StepInProgress where the session is held for longer than wait. Private.';
