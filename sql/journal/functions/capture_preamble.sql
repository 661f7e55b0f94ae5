-- What a capture function does first where only agents' changes are journaled: it leaves all others alone, before it looks
-- at a row, and refuses the roles that may not write unbound.
create function journal.capture_preamble(options journal.covered_table) returns text
language sql immutable
begin atomic
    select case options.writers when 'agents' then $agents$
    if not exists (select from journal.bound_session()) then
        if exists (select from journal.agent_role r where r.role_name in (session_user, current_setting('role'))) then
            perform journal.admit(tg_relid);
        end if;
        return null;
    end if;$agents$ else '' end;
end;

comment on function journal.capture_preamble(journal.covered_table) is 'SQL text at the head of a capture function.';
