-- What tells this history from a restored or copied one. Managed services may hide the control file: then null, and not compared.
create function outbox.source_identity(out system_identifier bigint, out timeline bigint, out database oid)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $source_identity$
begin
    select d.oid into database from pg_database as d where d.datname = current_database();
    begin
        select c.system_identifier into system_identifier from pg_control_system() as c;
        -- pg_control_checkpoint() would still name the old timeline after a promotion.
        timeline := ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint;
    exception when insufficient_privilege or feature_not_supported then
        null;
    end;
end
$source_identity$;

comment on function outbox.source_identity() is 'Cluster, timeline and database, as far as this role may see them.';
