-- Lifts the mark of stop_agent. Sessions that were stopped one by one stay stopped.
create function journal.resume_agent(agent text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $resume_agent$
begin
    update journal.stop p set lifted_at = clock_timestamp() where p.agent = resume_agent.agent and p.lifted_at is null;
    return found;
end
$resume_agent$;

comment on function journal.resume_agent(text) is 'Lets a stopped agent work again. Returns whether it was stopped.';
