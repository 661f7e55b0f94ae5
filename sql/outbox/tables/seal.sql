-- A seal fixes which messages come next, before any is published: those visible in snap and not in its predecessor's, and those
-- released from pending, less those still pending. Append-only; a relay of any destination may seal.
create table outbox.seal (
    no         bigint primary key,
    lineage    integer not null references outbox.lineage,
    kind       text not null default 'snapshot' check (kind in ('snapshot', 'retry', 'rebase')),
    snap       pg_snapshot not null,
    pending    bigint[] not null default '{}',
    released   bigint[] not null default '{}',
    members    bigint not null default 0,
    bytes      bigint not null default 0,
    digest     bigint not null default 0,
    total      bigint not null default 0,
    min_id     bigint,
    max_id     bigint not null default 0,
    from_id    bigint not null default 0,
    due_at     timestamptz,
    waits_for  uuid[] not null default '{}',
    lock_missed boolean not null default false,
    sealer     text not null default session_user,
    sealed_at  timestamptz not null default clock_timestamp()
);

-- Finds the seal of a message by its transaction.
create index seal_xmax on outbox.seal (pg_snapshot_xmax(snap), no);
create index seal_sealed_at on outbox.seal (sealed_at);

comment on table outbox.seal is 'Seals: the order of messages, fixed before delivery. Private; read outbox.messages and relay.deliveries.';
comment on column outbox.seal.pending is 'Messages visible in snap that wait: held, of a session that a rollback has locked, or of a key that waits.';
comment on column outbox.seal.released is 'Members that were pending in the predecessor.';
comment on column outbox.seal.digest is 'Exclusive or of the members'' hashes; with members it shows at every read that none is missing.';
comment on column outbox.seal.total is 'Members of this seal and of all before it.';
comment on column outbox.seal.max_id is 'Highest message number seen so far; a sequence below it was rewound.';
comment on column outbox.seal.from_id is 'Messages up to this number were there at the last rebase, which listed those that were not sealed; transaction ids tell only of those above.';
comment on column outbox.seal.due_at is 'When the first hold among pending runs out.';
comment on column outbox.seal.waits_for is 'Sessions whose close releases something that is pending.';
comment on column outbox.seal.lock_missed is 'Something is pending only because a rollback had locked its session.';
