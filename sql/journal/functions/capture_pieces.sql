-- The lists of columns that capture is made of. Every live column has its place in the aliases (o, n, x); the image columns
-- of the segment are some of them.
create function journal.capture_pieces(segment journal.segment) returns jsonb
language sql stable
begin atomic
    select pg_catalog.jsonb_build_object(
        'segment', segment.segment_id,
        'relation', segment.relation::oid,
        'attnums', pg_catalog.quote_literal(segment.attnums::text),
        'types', pg_catalog.quote_literal(pg_catalog.array_agg(journal.base_type(a.type) order by a.n)::text),
        'present_types', pg_catalog.string_agg(pg_catalog.format('journal.type_of(case when false then x.x%s end)', a.attnum), ', ' order by a.n),
        'padding', pg_catalog.string_agg('null::integer', ', '),
        'x', pg_catalog.string_agg('x' || a.attnum, ', ' order by a.n),
        'o', pg_catalog.string_agg('o' || a.attnum, ', ' order by a.n),
        'n', pg_catalog.string_agg('n' || a.attnum, ', ' order by a.n),
        'old_names', pg_catalog.string_agg('o' || a.attnum, ', ' order by a.n) filter (where a.stored is not null),
        'new_names', pg_catalog.string_agg('n' || a.attnum, ', ' order by a.n) filter (where a.stored is not null),
        'old_values', pg_catalog.string_agg(journal.image_of('o.o' || a.attnum, a.stored), ', ' order by a.n) filter (where a.stored is not null),
        'new_values', pg_catalog.string_agg(journal.image_of('n.n' || a.attnum, a.stored), ', ' order by a.n) filter (where a.stored is not null),
        'same_key', pg_catalog.string_agg(
            pg_catalog.format('%s = %s', journal.image_of('o.o' || a.attnum, a.stored), journal.image_of('n.n' || a.attnum, a.stored)), ' and ')
            filter (where a.attnum = any (segment.key)))
      from unnest(segment.attnums, segment.types, segment.image_types) with ordinality as a (attnum, type, stored, n);
end;

comment on function journal.capture_pieces(journal.segment) is 'Lists of columns, as SQL text, for the capture function of a segment.';
