-- Names a role as an agent: from its next transaction on it writes and publishes only inside a bound session. (One under way may still use
-- plans from before the first agent was named, see journal.has_agents.)
create function journal.add_agent_role(name text) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $add_agent_role$
begin
    if not exists (select from pg_roles r where r.rolname = add_agent_role.name) then
        raise exception using
            errcode = '42704', message = format('role %I does not exist', add_agent_role.name),
            hint = 'create it first, or name the role that the agent logs in as';
    end if;
    insert into journal.agent_role (role_name) values (add_agent_role.name) on conflict do nothing;
    return found;
end
$add_agent_role$;

comment on function journal.add_agent_role(text) is
    'Names a role as an agent: it is refused writes to covered tables, and messages, outside a bound session (UnboundWrite). Matched exactly with session_user and the role set, never by membership. True if it was not one before. For the owner of the journal.';
