-- The one home of the error for named agent roles that work outside a bound session.
create function journal.raise_unbound(what text, table_name text default '') returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $raise_unbound$
begin
    raise exception using
        errcode = 'JR024',
        message = format('journal: role %I is an agent and may %s only inside a bound session', journal.caller(), what),
        hint = 'work inside a step of an agent session, or call journal.bind first',
        table = table_name;
end
$raise_unbound$;

comment on function journal.raise_unbound(text, text) is 'Raises UnboundWrite for the role that called. Private.';
