-- Raises when the session, or its agent, carries a mark that nobody has lifted.
create function journal.refuse_stopped(session_id uuid, agent text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $refuse_stopped$
declare
    mark journal.stop;
begin
    select p.* into mark from journal.stop p
     where (p.session_id = refuse_stopped.session_id or p.agent = refuse_stopped.agent) and p.lifted_at is null
     limit 1;
    if found then
        raise exception using
            errcode = 'JR011',
            message = case when mark.agent is null then format('session %s was stopped', mark.session_id)
                           else format('agent %s was stopped', mark.agent) end || coalesce(': ' || nullif(mark.reason, ''), ''),
            hint = case when mark.agent is null then 'a stopped session stays stopped; ask whoever stopped it'
                        else 'journal.resume_agent lets it work again' end;
    end if;
end
$refuse_stopped$;

comment on function journal.refuse_stopped(uuid, text) is 'Raises SessionStopped where a session or its agent was stopped. Private.';
