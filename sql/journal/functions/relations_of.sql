-- The relations whose statements change a covered table: itself, or the whole partition tree, since a statement that names
-- a partition fires only that partition's triggers.
create function journal.relations_of(relation oid) returns table (member oid, kind "char")
language sql stable
begin atomic
    select c.oid, c.relkind
      from pg_catalog.pg_class c
     where c.oid = relation and c.relkind <> 'p'
     union all
    select c.oid, c.relkind
      from pg_catalog.pg_partition_tree(relation) t
      join pg_catalog.pg_class c on c.oid = t.relid
     where exists (select from pg_catalog.pg_class p where p.oid = relation and p.relkind = 'p');
end;

comment on function journal.relations_of(oid) is 'A table, or every relation of its partition tree.';
