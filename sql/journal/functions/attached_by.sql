-- The transaction that last attached a relation, or a partitioned table above it, to where it is now. An xmin has 32 bits;
-- the epoch is that of the present snapshot, or the one before it.
create function journal.attached_by(relation oid) returns xid8
language sql stable
begin atomic
    select max(case when x.this_epoch < x.latest then x.this_epoch else x.this_epoch - 4294967296 end)::text::xid8
      from (select s.latest, s.latest / 4294967296 * 4294967296 + i.xmin::text::bigint as this_epoch
              from pg_catalog.pg_inherits i
             cross join (select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint as latest) s
             where i.inhrelid = relation or i.inhrelid in (select a.relid from pg_catalog.pg_partition_ancestors(relation) a)) x;
end;

comment on function journal.attached_by(oid) is 'The transaction that attached a partition, or a table that inherits.';
