-- Transaction ids repeat after a restore into another cluster; the system identifier tells the clusters apart.
create function journal.cluster_id() returns bigint
language sql stable parallel safe
begin atomic
    select system_identifier from pg_catalog.pg_control_system();
end;

comment on function journal.cluster_id() is 'System identifier of this cluster.';
