-- A message that was set aside and is stored all the same: the append of a relay that was slow arrived last. Then it counts where
-- it is, and nowhere else.
create table relay.arrival (
    destination text not null references relay.destination,
    id          bigint not null,
    seal        bigint not null,
    place       bigint not null,
    found_at    timestamptz not null default clock_timestamp(),
    primary key (destination, id)
);

comment on table relay.arrival is 'Messages that were set aside and arrived. Private.';
