-- Makes the physical table of a new segment. No typmod, collation, default or constraint: an image is what was there.
create function journal.add_segment(segment journal.segment) returns journal.segment
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $add_segment$
begin
    insert into journal.segment (relation, table_name, shape, attnums, names, types, image_types, key)
    select segment.relation, segment.table_name, 1 + coalesce(max(s.shape), 0), segment.attnums, segment.names, segment.types,
           segment.image_types, segment.key
      from journal.segment s where s.relation = segment.relation
    returning * into segment;
    update journal.segment s set until_at = clock_timestamp()
     where s.relation = segment.relation and s.until_at is null and s.segment_id <> segment.segment_id;
    execute format('create table journal.%I (statement_id bigint not null%s)', 'segment_' || segment.segment_id,
                   (select string_agg(format(', %s%s %s', side, a.attnum, ltrim(a.stored, '*')), '' order by side desc, a.n)
                      from unnest(segment.attnums, segment.image_types) with ordinality as a (attnum, stored, n), unnest('{o,n}'::text[]) as side
                     where a.stored is not null));
    execute format('create index on journal.%I (statement_id)', 'segment_' || segment.segment_id);
    execute format('comment on table journal.%I is %L', 'segment_' || segment.segment_id,
                   format('Images of %s, shape %s: o before, n after, numbered by attnum. Private; read journal.changes.',
                          segment.table_name, segment.shape));
    return segment;
end
$add_segment$;

comment on function journal.add_segment(journal.segment) is 'Makes a segment and closes the one before it.';
