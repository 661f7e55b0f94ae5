-- Messages that a rollback took back before they were sealed. Insert only: cancelled implies never sealed, and the other way round.
create table outbox.cancellation (
    id           bigint primary key,
    xid          xid8 not null default pg_current_xact_id(),
    rollback_id  uuid not null,
    cancelled_at timestamptz not null default clock_timestamp()
);

create index cancellation_xid on outbox.cancellation (xid);
create index cancellation_rollback on outbox.cancellation (rollback_id);

comment on table outbox.cancellation is 'Cancelled messages. Private; read outbox.messages.';
