-- Refuses writes of named agent roles outside a bound session. Called by capture, before anything is recorded.
create function journal.admit(relation oid) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $admit$
begin
    if exists (select from journal.bound_session()) then
        return;
    end if;
    perform journal.raise_unbound(format('write %s', relation::regclass), relation::regclass::text);
end
$admit$;

comment on function journal.admit(oid) is 'Raises UnboundWrite unless the transaction is bound.';
