-- Whether the caller is a named agent role: the rule that capture has in its own source, where it is planned with the statement.
create function journal.is_agent() returns boolean
language plpgsql stable
as $is_agent$
begin
    return journal.has_agents() and exists (
        select from journal.agent_role r where r.role_name in (session_user, current_setting('role')));
end
$is_agent$;

comment on function journal.is_agent() is 'Whether the session user or the role set is a named agent role. Private.';
