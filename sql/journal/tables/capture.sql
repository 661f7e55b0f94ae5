-- Which relation writes into which segment, and how its columns stand for those of the segment: one row for a table, one
-- for each relation of a partition tree. Looked up when a capture statement is planned, so nothing in the source of a
-- capture function is an oid: a restored dump goes on.
create table journal.capture (
    capture_id integer generated always as identity primary key,
    segment_id integer not null references journal.segment,
    record_id  integer not null references journal.segment,
    relation   regclass not null,
    attnums    int2[] not null,
    places     int2[] not null,
    trigger_marks text[] not null default '{}',
    unique (segment_id, relation)
);

comment on table journal.capture is 'Relations and the segments that their capture functions write to. Private.';
comment on column journal.capture.record_id is 'Where rows of an unknown shape go.';
comment on column journal.capture.attnums is 'Live columns of the relation, in order.';
comment on column journal.capture.places is 'For each of them, its attnum in the covered table: partitions may number them otherwise.';
comment on column journal.capture.trigger_marks is
    'The capture triggers at cover, and in which database they were seen: disabling and enabling one again changes its xmin.';
