-- Registers a segment and makes its physical table.
create function journal.add_segment(segment journal.segment) returns journal.segment
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $add_segment$
begin
    insert into journal.segment (relation, table_name, shape, kind, attnums, names, types, image_types, key)
    select segment.relation, segment.table_name, 1 + coalesce(max(s.shape), 0), segment.kind, segment.attnums, segment.names, segment.types,
           segment.image_types, segment.key
      from journal.segment s where s.relation = segment.relation
    returning * into segment;
    perform journal.make_segment_table(segment, 'segment_' || segment.segment_id);
    return segment;
end
$add_segment$;

comment on function journal.add_segment(journal.segment) is 'Makes a segment.';
