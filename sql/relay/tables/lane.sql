-- Lease and checkpoint of each lane: one row, written at most once a second. The lease saves work, it fences nothing: only the
-- destination can refuse a relay that woke up too late.
create table relay.lane (
    destination text not null references relay.destination,
    lane        integer not null check (lane >= 0),
    epoch       bigint not null default 0,
    holder      uuid,
    holder_name text,
    lease_until timestamptz not null default '-infinity',
    seal        bigint not null,
    position    bigint not null default 0,
    passed      bigint not null default 0,
    last_seal   bigint not null default 0,
    last_id     bigint not null default 0,
    message_id  uuid,
    token       text,
    appended_at timestamptz,
    in_doubt    boolean not null default false,
    crashes     integer not null default 0,
    trying      uuid,
    primary key (destination, lane)
) with (fillfactor = 50);

comment on table relay.lane is 'Lease and checkpoint of each lane. Private; read relay.lag.';
comment on column relay.lane.seal is 'All members of this seal and of those before it are stored, or are not for this lane.';
comment on column relay.lane.position is 'Position of the last message that is stored.';
comment on column relay.lane.passed is 'Position up to which seal counts; beyond position when the last ones were set aside, before it inside a seal.';
comment on column relay.lane.last_seal is 'Seal of that message; greater than seal while a seal is delivered in parts.';
comment on column relay.lane.last_id is 'Number of that message in outbox.message.';
comment on column relay.lane.crashes is 'Relays in a row whose lease ran out here without a clean end, since the position moved or trying was written.';
comment on column relay.lane.trying is 'The message that a relay appends by itself, because others ended here without a word.';
comment on column relay.lane.token is 'What the destination calls that position.';
