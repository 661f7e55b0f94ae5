-- Marks an agent: none of its sessions can bind, and it can open none, until it is resumed.
create function journal.stop_agent(agent text, reason text default '') returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $stop_agent$
begin
    if octet_length(coalesce(stop_agent.agent, '')) not between 1 and 512 then
        raise exception using
            errcode = 'JR008', message = 'name the agent that is to stop, in 1 to 512 bytes', hint = 'journal.sessions has their names';
    end if;
    insert into journal.stop (agent, reason, db_user)
    select stop_agent.agent, coalesce(stop_agent.reason, ''), session_user
     where not exists (select from journal.stop p where p.agent = stop_agent.agent and p.lifted_at is null);
end
$stop_agent$;

comment on function journal.stop_agent(text, text) is
    'Stops an agent by its name, until journal.resume_agent: from the commit on its sessions bind no more and it opens none.';
