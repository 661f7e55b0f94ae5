-- Members of seals of kind retry: messages that were set aside at one destination and come again, at new positions.
create table relay.retried (
    seal        bigint not null,
    place       bigint not null,
    destination text not null,
    lane        integer not null,
    id          bigint not null,
    primary key (destination, seal, place),
    foreign key (destination, lane) references relay.lane
);

create index retried_message on relay.retried (destination, id);

comment on table relay.retried is 'What an operator let a destination try again. Private.';
comment on column relay.retried.id is 'Number of the message in outbox.message.';
