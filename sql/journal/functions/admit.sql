-- Refuses writes of named agent roles outside a bound session. Called by capture, before anything is recorded.
create function journal.admit(relation oid) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $admit$
begin
    if exists (select from journal.bound_session()) then
        return;
    end if;
    raise exception using
        errcode = 'JR024',
        message = format('journal: role %I is an agent and may write %s only inside a bound session',
                         coalesce(nullif(current_setting('role'), 'none'), session_user), relation::regclass),
        hint = 'write inside a step of an agent session, or call journal.bind first',
        table = relation::regclass::text;
end
$admit$;

comment on function journal.admit(oid) is 'Raises UnboundWrite unless the transaction is bound.';
