-- Large values that an update left alone are stored on neither side, and named in `elided`. Not for a partitioned table: a row
-- that moves gets another place for its values, which could by chance bear the same number. Never for the key.
create function journal.elision_pieces(capture journal.capture, segment journal.segment, elides boolean) returns jsonb
language sql stable
begin atomic
    select pg_catalog.jsonb_build_object(
        'kept_old_values', pg_catalog.string_agg(case when c.same is null then c.old else pg_catalog.format('case when %s then null else %s end', c.same, c.old) end, ', ' order by c.n),
        'kept_new_values', pg_catalog.string_agg(case when c.same is null then c.new else pg_catalog.format('case when %s then null else %s end', c.same, c.new) end, ', ' order by c.n),
        'elided', case when pg_catalog.count(c.same) = 0 then 'null' else pg_catalog.format(
            'case when %s then array_remove(array[%s], null)::int2[] end', pg_catalog.string_agg(c.same, ' or '),
            pg_catalog.string_agg(pg_catalog.format('case when %s then %s end', c.same, c.attnum), ', ' order by c.n) filter (where c.same is not null)) end,
        'large', coalesce(pg_catalog.string_agg(journal.is_large('x.x' || c.attnum), ' or ') filter (where c.same is not null), 'false'))
      from (select a.attnum, a.n, journal.image_of('o.o' || a.attnum, a.stored) as old, journal.image_of('n.n' || a.attnum, a.stored) as new,
                   case when elides and a.attnum <> all (segment.key)
                        then '(' || journal.unchanged(a.attnum, a.type) || ')' end as same
              from (select s.attnum, s.type, s.stored, p.n
                      from unnest(capture.places) with ordinality as p (attnum, n)
                      join unnest(segment.attnums, segment.types, segment.image_types) as s (attnum, type, stored) on s.attnum = p.attnum) a
             where a.stored is not null) c;
end;

comment on function journal.elision_pieces(journal.capture, journal.segment, boolean) is 'Lists of columns, as SQL text, for images of an update that leave unchanged large values out.';
