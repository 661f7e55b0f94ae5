-- The last transaction that dropped an attribute of a composite type, or of one that stands in it, however deep: the fields of a text that is older
-- are no longer those of the type.
create function journal.undo_reordered_by(column_type oid) returns xid8
language sql stable
begin atomic
    with recursive part as (
        select journal.base_type(column_type) as type
        union
        select journal.base_type(i.type)
          from part p
          join pg_catalog.pg_type t on t.oid = p.type
         cross join lateral (
               select t.typelem as type where t.typcategory = 'A'
               union all
               select a.atttypid from pg_catalog.pg_attribute a where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) i
    )
    select journal.whole_xid(a.xmin)
      from part p
      join pg_catalog.pg_type t on t.oid = p.type and t.typtype = 'c'
      join pg_catalog.pg_attribute a on a.attrelid = t.typrelid and a.attisdropped
     order by 1 desc
     limit 1;
end;

comment on function journal.undo_reordered_by(oid) is 'The last transaction that dropped an attribute of a composite type. Private.';
