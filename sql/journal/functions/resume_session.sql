-- Whether the caller may go on with a session, and what a client needs to know of it.
create function journal.resume_session(session_id uuid) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $resume_session$
declare
    session journal.session := journal.enter_session(resume_session.session_id);
begin
    return jsonb_build_object('session_id', session.session_id, 'agent', session.agent, 'task', session.task,
                              'tenant', session.tenant, 'role', session.role);
end
$resume_session$;

comment on function journal.resume_session(uuid) is
    'An open session of the caller''s, as JSON: session_id, agent, task, tenant, role. Raises UnknownSession, SessionClosed, SessionStopped, NotSessionOwner.';
