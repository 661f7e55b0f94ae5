-- Messages, append-only: never updated, never deleted row by row. Partitioned by id, so that retention drops whole partitions.
-- xid is the top-level transaction: a savepoint's own id would count as committed while its transaction is still open.
create table outbox.message (
    id           bigint not null default nextval('outbox.message_id') primary key,
    xid          xid8 not null default pg_current_xact_id(),
    message_id   uuid not null default outbox.uuid7(),
    session_id   uuid,
    step_id      uuid,
    topic        text not null,
    key          text,
    slot         smallint not null check (slot between 0 and 4095),
    type         text not null,
    data         jsonb,
    headers      jsonb not null default '{}',
    compensation jsonb,
    compensates  uuid,
    caused_by    uuid,
    hold         text,
    release_at   timestamptz,
    created_at   timestamptz not null default clock_timestamp(),
    bytes        integer not null
) partition by range (id);

create index message_xid on outbox.message (xid);
create index message_message_id on outbox.message (message_id);
create index message_session on outbox.message (session_id) where session_id is not null;
create index message_compensates on outbox.message (compensates) where compensates is not null;
create index message_caused_by on outbox.message (caused_by) where caused_by is not null;

comment on table outbox.message is 'Messages. Private; publish with outbox.publish, read outbox.messages.';
