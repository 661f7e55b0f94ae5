-- What consumers have worked through: the row is part of the commit of the work itself.
create table outbox.inbox (
    consumer   text not null check (consumer <> '' and octet_length(consumer) <= 255),
    message_id text not null check (message_id <> '' and octet_length(message_id) <= 255),
    taken_at   timestamptz not null default clock_timestamp(),
    primary key (consumer, message_id)
);

comment on table outbox.inbox is 'Messages that consumers have worked through. Private; call outbox.take.';
