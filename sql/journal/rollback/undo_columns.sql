-- What a rollback knows of the columns of one table: how the images hold them, and what has become of them since. Images that
-- hold a column in different types, because it was retyped in between, are compared as texts. Of a dropped column only an
-- auditor may see values: for others it is hidden, and keyed digests stand for them, so that they have the same plan.
create function journal.undo_columns(relation oid, segments integer[])
returns table (attnum int2, name text, image_type text, as_text boolean, key_position integer, live_type text, base_type text,
               generated boolean, not_null boolean, has_default boolean, problem text, counter boolean, maintained boolean, hidden boolean)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $undo_columns$
#variable_conflict use_variable
begin
    return query
    with image as (
        select distinct on (c.attnum) c.attnum, c.name, c.type, c.stored, array_position(g.key, c.attnum) as key_position,
               count(c.type) over (partition by c.attnum) as shapes, min(c.type::oid) over (partition by c.attnum) <> max(c.type::oid) over (partition by c.attnum) as mixed,
               min(c.stored) over (partition by c.attnum) <> max(c.stored) over (partition by c.attnum) as as_text
          from journal.segment g, unnest(g.attnums, g.names, g.types, g.image_types) as c (attnum, name, type, stored)
         where g.segment_id = any (segments)
         order by c.attnum, g.segment_id desc
    )
    select coalesce(i.attnum, a.attnum), quote_ident(coalesce(a.attname, i.name)), case when i.as_text or h.hidden and i.stored is not null then 'text' else ltrim(i.stored, '*') end, i.as_text or i.stored like '*%' or h.hidden, i.key_position,
           format_type(a.atttypid, a.atttypmod), format_type(case when t.typtype = 'd' then journal.base_type(t.oid) else t.oid end, -1),
           a.attgenerated <> '', a.attnotnull,
           a.atthasdef or a.attidentity <> '' or t.typdefault is not null,
           case when i.attnum is null then 'added'
                when a.attnum is null then 'column_dropped'
                when i.mixed then 'retyped'
                when i.stored is not null and i.type::oid <> a.atttypid and (i.stored like '*%' or journal.image_type(a.atttypid) is distinct from i.stored) then 'retyped' end,
           coalesce(coalesce(i.attnum, a.attnum) = any (o.counters), false), coalesce(coalesce(i.attnum, a.attnum) = any (o.maintained), false),
           h.hidden
      from image i
      full join (select * from pg_attribute a where a.attrelid = undo_columns.relation and a.attnum > 0 and not a.attisdropped) a on a.attnum = i.attnum
      left join pg_type t on t.oid = a.atttypid
     cross join lateral (select a.attnum is null and not journal.is_auditor(journal.caller()) as hidden) h
      left join journal.covered_table o on o.relation = undo_columns.relation
     order by 1;
end
$undo_columns$;

comment on function journal.undo_columns(oid, integer[]) is 'The columns of a table as images hold them and as they are now. Private.';
