-- The generated columns of a table, each with the columns that it is generated from.
create function journal.undo_generated_from(relation oid) returns table (generated int2, attnum int2)
language sql stable
begin atomic
    select a.attnum, d.refobjsubid::int2
      from pg_catalog.pg_attribute a
      join pg_catalog.pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = f.oid
                                 and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = a.attrelid and d.refobjsubid not in (0, a.attnum)
     where a.attrelid = undo_generated_from.relation and a.attgenerated <> '' and not a.attisdropped;
end;

comment on function journal.undo_generated_from(oid) is 'From which columns each generated column comes. Private.';
