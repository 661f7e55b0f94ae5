-- SQL text for each segment that reads it in the columns that all segments of a rollback share: of its statement (s), then elided, then the
-- before-image and the after-image of every image column. With taken_back, without the changes that rollbacks took back.
create function journal.undo_segment_source(relation oid, segments integer[], attnums int2[], taken_back boolean) returns setof text
language sql stable
begin atomic
    select pg_catalog.format('select s.statement_id, s.transaction_id, s.ledger_xmin, s.same_cluster, s.depth, %1$s, %2$s, %3$s from journal.segment_%4$s i join s using (statement_id) where s.segment_id = %4$s%5$s',
               case when pg_catalog.count(*) filter (where p.attnum is null) = 0 then 'i.elided'
                    else pg_catalog.format('i.elided || %L::int2[]', pg_catalog.array_agg(c.attnum) filter (where p.attnum is null)) end,
               pg_catalog.string_agg(case when p.attnum is null then 'null::' || c.image_type else journal.undo_image('i.o' || c.attnum, p.stored, c.image_type, c.hidden) end, ', ' order by c.attnum),
               pg_catalog.string_agg(case when p.attnum is null then 'null::' || c.image_type else journal.undo_image('i.n' || c.attnum, p.stored, c.image_type, c.hidden) end, ', ' order by c.attnum),
               g.segment_id,
               case when undo_segment_source.taken_back then pg_catalog.format(
                    ' and (s.taken_by is null or pg_catalog.cardinality(s.taken_by) = (select pg_catalog.count(*) from journal.left_image l '
                    'where l.statement_id = s.statement_id and pg_catalog.hashtextextended(l.row_key, 0) = pg_catalog.hashtextextended(pg_catalog.format(''%%s'', row(%1$s)), 0) '
                    'and l.row_key = pg_catalog.format(''%%s'', row(%1$s)) and l.rollback_id = any (s.taken_by)))',
                    pg_catalog.string_agg(journal.undo_image('i.o' || c.attnum, p.stored, c.image_type, c.hidden) || ', ' || journal.undo_image('i.n' || c.attnum, p.stored, c.image_type, c.hidden), ', ' order by c.key_position)
                        filter (where c.key_position is not null)) end)
      from journal.undo_columns(undo_segment_source.relation, undo_segment_source.segments) c
      join journal.segment g on g.segment_id = any (undo_segment_source.segments)
      left join lateral (select a.attnum, a.stored from rows from (pg_catalog.unnest(g.attnums), pg_catalog.unnest(g.image_types)) as a (attnum, stored)
                          where a.attnum = c.attnum and a.stored is not null) p on true
     where c.image_type is not null and c.attnum = any (undo_segment_source.attnums)
     group by g.segment_id;
end;

comment on function journal.undo_segment_source(oid, integer[], int2[], boolean) is 'SQL texts that read segments for a rollback. Private.';
