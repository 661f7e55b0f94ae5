-- The foreign keys, as they were declared, that start from a table or point at it. One that is declared on a partition, or points at one, counts
-- for the whole table, whose columns it is told in; child_part and parent_part say where it is in force. One that is not enforced is none.
create function journal.undo_foreign_keys(relation oid)
returns table (oid oid, name name, child oid, child_part oid, child_attnums int2[], parent oid, parent_part oid, parent_attnums int2[],
               operators oid[], on_update "char", on_delete "char")
language sql stable
begin atomic
    with family as materialized (
        select undo_foreign_keys.relation as relid union select p.relid from pg_catalog.pg_partition_tree(undo_foreign_keys.relation) p
    )
    select f.oid, f.conname, c.root, f.conrelid, journal.undo_attnums_in(f.conrelid, c.root, f.conkey), p.root, f.confrelid, journal.undo_attnums_in(f.confrelid, p.root, f.confkey),
           f.conpfeqop, f.confupdtype, f.confdeltype
      from pg_catalog.pg_constraint f
     cross join lateral (select coalesce(pg_catalog.pg_partition_root(f.conrelid)::oid, f.conrelid) as root) c
     cross join lateral (select coalesce(pg_catalog.pg_partition_root(f.confrelid)::oid, f.confrelid) as root) p
     where f.contype = 'f' and f.conparentid = 0 and journal.undo_is_enforced(f.oid)
       and (f.conrelid in (select m.relid from family m) or f.confrelid in (select m.relid from family m));
end;

comment on function journal.undo_foreign_keys(oid) is 'The foreign keys from a table and to it, those of its partitions included. Private.';
