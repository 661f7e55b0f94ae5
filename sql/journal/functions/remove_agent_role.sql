-- Takes a role off the list of agents. Also one that no longer exists.
create function journal.remove_agent_role(name text) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $remove_agent_role$
begin
    delete from journal.agent_role r where r.role_name = remove_agent_role.name;
    return found;
end
$remove_agent_role$;

comment on function journal.remove_agent_role(text) is 'Takes a role off the list of agents. True if it was on it. For the owner of the journal.';
