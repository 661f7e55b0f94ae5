-- Where the images are. Sizes and estimates are the server's own; nothing is counted.
create view journal.segments as
select 'segment_' || s.segment_id as segment,
       s.relation,
       s.table_name,
       s.shape,
       s.from_at,
       s.until_at,
       greatest(c.reltuples, 0)::bigint as images,
       pg_catalog.pg_total_relation_size(c.oid) as bytes,
       journal.is_droppable(s) as droppable
  from journal.segment s
  join pg_catalog.pg_class c on c.relnamespace = 'journal'::pg_catalog.regnamespace and c.relname = 'segment_' || s.segment_id;

comment on view journal.segments is 'Physical tables that hold the images of one covered table, for one shape of it and one period.';
comment on column journal.segments.segment is 'Name of the segment.';
comment on column journal.segments.relation is 'The covered table, by its present name; a bare number where it was dropped.';
comment on column journal.segments.table_name is 'The table''s name when the segment was made.';
comment on column journal.segments.shape is 'Number of the table''s shape, from 1.';
comment on column journal.segments.from_at is 'When the segment was made.';
comment on column journal.segments.until_at is 'When the next one took over, or the table was uncovered; null: in use.';
comment on column journal.segments.images is 'Images, as the server estimates them.';
comment on column journal.segments.bytes is 'Size on disk with indexes and large values.';
comment on column journal.segments.droppable is 'Whether retention may drop it: no longer in use, and nothing in it is young enough or needed by a session that is open.';
