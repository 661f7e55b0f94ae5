-- Times in which changes of a covered table may have gone unrecorded, as cover found them when it mended them. Insert only.
create table journal.gap (
    gap_id   bigint generated always as identity primary key,
    relation regclass not null,
    reason   text not null,
    from_at  timestamptz not null,
    until_at timestamptz not null default clock_timestamp(),
    attached_by xid8,
    cluster  bigint not null default journal.cluster_id()
);

create index gap_relation on journal.gap (relation);

comment on table journal.gap is 'Gaps in the coverage of tables that were mended since. Private.';
comment on column journal.gap.from_at is 'The last time that coverage was known to be whole: the gap began then or later.';
comment on column journal.gap.until_at is 'When cover mended it.';
comment on column journal.gap.attached_by is
    'The gap began when this transaction of this cluster attached a partition, so it does not concern older transactions; null: another kind of gap.';
