-- Messages that a destination refused for good, set aside with what else their key brings.
create table relay.park (
    destination     text not null,
    lane            integer not null,
    message_id      uuid not null,
    position        bigint not null,
    topic           text not null,
    key             text,
    attempts        integer not null default 1,
    error           text not null,
    first_failed_at timestamptz not null default clock_timestamp(),
    last_failed_at  timestamptz not null default clock_timestamp(),
    disposition     text not null default 'parked' check (disposition in ('parked', 'dead_letter')),
    primary key (destination, message_id),
    foreign key (destination, lane) references relay.lane
);

comment on table relay.park is 'Refused messages. Private; read relay.parked.';
