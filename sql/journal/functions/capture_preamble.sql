-- What every branch of a capture function does once it knows that rows were touched: leave what need not be
-- journaled, refuse what may not be written, and refuse a shape that it does not know.
create function journal.capture_preamble(relation regclass, options journal.covered_table) returns text
language sql stable
begin atomic
    select pg_catalog.format($preamble$%s
        if exists (select from journal.agent_role r where r.role_name in (session_user, current_setting('role'))) then
            perform journal.admit(%s);
        end if;
        if not intact or tg_relid <> %2$s then
            perform journal.raise_stale(tg_relid);
        end if;$preamble$,
        case options.writers when 'agents' then $bound$
        if not exists (select from journal.bound_session()) then
            if exists (select from journal.agent_role r where r.role_name in (session_user, current_setting('role'))) then
                perform journal.admit(tg_relid);
            end if;
            return null;
        end if;$bound$ else '' end,
        relation::oid);
end;

comment on function journal.capture_preamble(regclass, journal.covered_table) is 'SQL text shared by the branches of a capture function.';
