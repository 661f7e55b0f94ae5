-- Messages that a destination refused for good. Positions stay what the seal gave them: what is set aside leaves its position
-- empty. A parked message holds what its key brings, from its own place up to until_seal, in which a retry brings all of it again.
create table relay.park (
    destination     text not null,
    lane            integer not null,
    seal            bigint not null,
    place           bigint not null,
    until_seal      bigint,
    message_id      uuid not null,
    topic           text not null,
    key             text,
    attempts        integer not null,
    error           text not null,
    first_failed_at timestamptz not null,
    last_failed_at  timestamptz not null default clock_timestamp(),
    disposition     text not null check (disposition in ('parked', 'dead_letter')),
    reason          text,
    decided_by      text,
    primary key (destination, seal, place),
    foreign key (destination, lane) references relay.lane
);

create unique index park_key on relay.park (destination, key) where until_seal is null;
create index park_message on relay.park (destination, message_id);

comment on table relay.park is 'Refused messages. Private; read relay.parked.';
comment on column relay.park.until_seal is 'Seal in which the key goes on; null while it waits.';
comment on column relay.park.reason is 'Why an operator gave the message up.';
