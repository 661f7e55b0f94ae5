-- Condition: live row x refers to live row t by a foreign key, where that is in force.
create function journal.undo_refers(foreign_key oid) returns text
language sql stable
begin atomic
    select pg_catalog.string_agg(pg_catalog.format('t.%I %s x.%I', p.attname, journal.operator_name(k.operator), a.attname), ' and ' order by k.n)
           || ' and ' || journal.undo_stands_in(f.confrelid, coalesce(pg_catalog.pg_partition_root(f.confrelid)::oid, f.confrelid), 't')
           || ' and ' || journal.undo_stands_in(f.conrelid, coalesce(pg_catalog.pg_partition_root(f.conrelid)::oid, f.conrelid), 'x')
      from pg_catalog.pg_constraint f
     cross join lateral rows from (unnest(f.confkey), unnest(f.conkey), unnest(f.conpfeqop)) with ordinality as k (parent, child, operator, n)
      join pg_catalog.pg_attribute p on p.attrelid = f.confrelid and p.attnum = k.parent
      join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.child
     where f.oid = foreign_key
     group by f.confrelid, f.conrelid;
end;

comment on function journal.undo_refers(oid) is 'SQL text: a row refers to another by a foreign key. Private.';
