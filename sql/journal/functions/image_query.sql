-- The query that shows the images of a segment to somebody who may see the given columns. Its parameters: $1 their
-- names, $2 the names of those that are part of the key, $3 the columns; `condition` may use $4 and later ones.
create function journal.image_query(segment journal.segment, visible int2[], condition text) returns text
language sql stable
begin atomic
    select case segment.kind when 'record' then journal.record_query(segment, condition) else pg_catalog.format($query$
        select i.statement_id,
               case when has then jsonb_object($2, %1$s) when had then jsonb_object($2, %2$s) end,
               case when had then jsonb_object($1, o) - e end,
               case when has then jsonb_object($1, n) - e end,
               case when had and has then array(select c.name from unnest($1, o, n) as c (name, o, n) where c.o is distinct from c.n) end,
               nullif(e, '{}')
          from (select statement_id, %3$s as had, %4$s as has, %5$s as o, %6$s as n,
                       case when elided is null then '{}' else array(select c.name from unnest($1, $3) as c (name, attnum) where c.attnum = any (elided)) end as e
                  from journal.segment_%7$s
                 where %8$s
                offset 0) i$query$,
        k.after, k.before,
        case when segment.key = '{}' then 'coalesce(had, false)' else 'o' || segment.key[1] || ' is not null' end,
        case when segment.key = '{}' then 'coalesce(has, false)' else 'n' || segment.key[1] || ' is not null' end,
        journal.image_texts('o', visible), journal.image_texts('n', visible), segment.segment_id, condition) end
      from (select pg_catalog.format('array[%s]::text[]', pg_catalog.string_agg('n[' || v.n || ']', ', ' order by v.n)) as after,
                   pg_catalog.format('array[%s]::text[]', pg_catalog.string_agg('o[' || v.n || ']', ', ' order by v.n)) as before
              from unnest(visible) with ordinality as v (attnum, n)
             where v.attnum = any (segment.key)) k;
end;

comment on function journal.image_query(journal.segment, int2[], text) is 'SQL text that reads images of a segment as key, before, after, changed_columns, elided_columns.';
