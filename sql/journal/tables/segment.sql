-- A segment is the physical table that holds the images of one covered table, for one shape of it and one period.
-- Its image columns are named by attnum (o3 before, n3 after): names change, attnums do not.
create table journal.segment (
    segment_id  integer generated always as identity primary key,
    relation    regclass not null,
    table_name  text not null,
    shape       integer not null,
    kind        text not null default 'typed' check (kind in ('typed', 'record')),
    attnums     int2[] not null,
    names       name[] not null,
    types       regtype[] not null,
    image_types text[] not null,
    key         int2[] not null,
    from_at     timestamptz not null default clock_timestamp(),
    until_at    timestamptz,
    dropped_at  timestamptz,
    unique (relation, shape)
);

comment on table journal.segment is 'Segments and the shapes they were made for. Private; read journal.segments.';
comment on column journal.segment.kind is
    'typed: one pair of columns for each image column; record: whole rows as text, from writes that met a shape which cover had not seen.';
comment on column journal.segment.attnums is 'All live columns of that shape, in order; names, types and image_types run parallel.';
comment on column journal.segment.image_types is
    'Type of the image columns; ''text'' marked by a leading * holds what the type''s output function gives; null: no image (generated, excluded).';
comment on column journal.segment.dropped_at is 'When retention dropped its table; the ledger still tells what was there.';
comment on column journal.segment.key is 'Columns of the primary key, in the order of the key; empty where there is none.';
