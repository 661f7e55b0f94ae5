-- Transaction ids repeat after a restore into another cluster; the system identifier tells the clusters apart. It never
-- changes under a running server, so it is declared immutable: planned once in each connection, free after that.
create function journal.cluster_id() returns bigint
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $cluster_id$
begin
    return system_identifier from pg_control_system();
end
$cluster_id$;

comment on function journal.cluster_id() is 'System identifier of this cluster.';
