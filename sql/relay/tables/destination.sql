-- Where relays deliver. The name is the identity: a new url under the same name keeps the cursor.
create table relay.destination (
    destination   text primary key check (destination <> '' and octet_length(destination) <= 255),
    url           text not null,
    guarantee     text not null check (guarantee in ('A', 'B', 'C', 'D')),
    max_bytes     bigint not null,
    started_from  text not null,
    on_refusal    text not null default 'park' check (on_refusal in ('park', 'dead-letter')),
    created_at    timestamptz not null default clock_timestamp(),
    paused_at     timestamptz,
    stopped_for   text,
    last_error    text,
    last_error_at timestamptz,
    recovered_at  timestamptz,
    finished_at   timestamptz,
    finished_with bigint
);

comment on table relay.destination is 'Destinations. Private; read relay.destinations.';
comment on column relay.destination.url is 'Without credentials.';
comment on column relay.destination.on_refusal is 'What becomes of a message that the destination refuses for good: parked with its key, or a dead letter whose key goes on.';
comment on column relay.destination.stopped_for is 'Why relays refuse to go on; null while they may.';
comment on column relay.destination.finished_with is 'Seal with which a replay into it ended; null for a destination that goes on.';
comment on column relay.destination.recovered_at is 'When an append succeeded after the last error.';
