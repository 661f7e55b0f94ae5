-- regclass prints by search_path; images and reports need the same name for everybody.
create function journal.qualified_name(relation oid) returns text
language sql stable
begin atomic
    select pg_catalog.format('%I.%I', n.nspname, c.relname)
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.oid = relation;
end;

comment on function journal.qualified_name(oid) is 'schema.table, quoted where needed; null where the relation is gone.';
