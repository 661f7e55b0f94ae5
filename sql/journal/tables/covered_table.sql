-- What is covered, and how. Options name columns by attnum, so that they survive renames.
create table journal.covered_table (
    relation     regclass primary key,
    segment_id   integer not null references journal.segment,
    writers      text not null check (writers in ('all', 'agents')),
    undo         boolean not null,
    strict_shape boolean not null,
    on_truncate  text not null check (on_truncate in ('capture', 'refuse')),
    excluded     int2[] not null,
    counters     int2[] not null,
    maintained   int2[] not null,
    covered_at   timestamptz not null default clock_timestamp(),
    looked_at_by xid8 not null default pg_current_xact_id()
);

comment on table journal.covered_table is 'Covered tables and their options. Private; read journal.coverage.';
comment on column journal.covered_table.looked_at_by is 'The transaction that looked for gaps last: see journal.note_gap.';
