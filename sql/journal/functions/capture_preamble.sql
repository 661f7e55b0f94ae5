-- What a capture function does first where only agents' changes are journaled: it leaves all others alone, before it looks
-- at a row, and refuses the roles that may not write unbound. Without the setting, which is cheap to see, nobody is bound.
create function journal.capture_preamble(options journal.covered_table) returns text
language sql immutable
begin atomic
    select case options.writers when 'agents' then $agents$
    unbound := coalesce(current_setting('journal.binding', true), '') = '';
    if not unbound then
        unbound := not exists (select from journal.bound_session());
    end if;
    if unbound then{refuse_agents}
        return null;
    end if;$agents$ else '' end;
end;

comment on function journal.capture_preamble(journal.covered_table) is 'SQL text at the head of a capture function.';
