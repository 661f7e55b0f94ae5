-- The lists of columns that capture is made of. Every live column of the relation has its place in the aliases (o, n, x),
-- numbered as in the covered table; the image columns of the segment are some of them. Without a key nothing else tells
-- whether a side is there, so two columns do (had, has).
create function journal.capture_pieces(capture journal.capture, segment journal.segment) returns jsonb
language sql stable
begin atomic
    select pg_catalog.jsonb_build_object(
               'capture', capture.capture_id,
               'segment', 'segment_' || segment.segment_id || journal.capture_comment(segment),
               'record', capture.record_id,
               'types', pg_catalog.quote_literal(pg_catalog.array_agg(pg_catalog.format_type(journal.base_type(s.type), -1) order by p.n)::text),
               'present_types', pg_catalog.string_agg(pg_catalog.format('journal.type_of(case when false then x.x%s end)', s.attnum), ', ' order by p.n),
               'padding', pg_catalog.string_agg('null::integer', ', '),
               'x', pg_catalog.string_agg('x' || s.attnum, ', ' order by p.n),
               'o', pg_catalog.string_agg('o' || s.attnum, ', ' order by p.n),
               'n', pg_catalog.string_agg('n' || s.attnum, ', ' order by p.n),
               'old_names', pg_catalog.string_agg('o' || s.attnum, ', ' order by p.n) filter (where s.stored is not null) || keyless.old_name,
               'new_names', pg_catalog.string_agg('n' || s.attnum, ', ' order by p.n) filter (where s.stored is not null) || keyless.new_name,
               'old_values', pg_catalog.string_agg(journal.image_of('o.o' || s.attnum, s.stored), ', ' order by p.n) filter (where s.stored is not null) || keyless.old_value,
               'new_values', pg_catalog.string_agg(journal.image_of('n.n' || s.attnum, s.stored), ', ' order by p.n) filter (where s.stored is not null) || keyless.new_value,
               'had', keyless.old_value,
               'has', keyless.new_value,
               'same_key', coalesce(pg_catalog.string_agg(
                   pg_catalog.format('%s = %s', journal.image_of('o.o' || s.attnum, s.stored), journal.image_of('n.n' || s.attnum, s.stored)), ' and ')
                   filter (where s.attnum = any (segment.key)), 'o.place = -n.place'))
      from unnest(capture.places) with ordinality as p (attnum, n)
      join unnest(segment.attnums, segment.types, segment.image_types) as s (attnum, type, stored) on s.attnum = p.attnum
     cross join (select case when segment.key = '{}' then ', had' else '' end as old_name, case when segment.key = '{}' then ', has' else '' end as new_name,
                        case when segment.key = '{}' then ', o.place is not null' else '' end as old_value,
                        case when segment.key = '{}' then ', n.place is not null' else '' end as new_value) keyless
     group by keyless.old_name, keyless.new_name, keyless.old_value, keyless.new_value;
end;

comment on function journal.capture_pieces(journal.capture, journal.segment) is 'Lists of columns, as SQL text, for a capture function.';
