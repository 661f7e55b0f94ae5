-- The transaction that last attached a relation, or a partitioned table above it, to where it is now.
create function journal.attached_by(relation oid) returns xid8
language sql stable
begin atomic
    select journal.whole_xid(i.xmin)
      from pg_catalog.pg_inherits i
     where i.inhrelid = relation or i.inhrelid in (select a.relid from pg_catalog.pg_partition_ancestors(relation) a)
     order by 1 desc nulls last
     limit 1;
end;

comment on function journal.attached_by(oid) is 'The transaction that attached a partition, or a table that inherits.';
