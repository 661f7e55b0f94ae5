-- The one home of the error for a table whose shape is not the one that was covered.
create function journal.raise_stale(relation oid) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $raise_stale$
begin
    raise exception using
        errcode = 'JR031',
        message = format('journal: the shape of %s is not the one that was covered, so its changes cannot be recorded exactly', relation::regclass),
        hint = format('run: journal cover %s', relation::regclass),
        table = relation::regclass::text;
end
$raise_stale$;

comment on function journal.raise_stale(oid) is 'Raises StaleCoverage for the relation.';
