-- Where a lane was at a time: insert only. Finds the place when a destination lost its tail, and says when a message arrived.
create table relay.mark (
    destination text not null,
    lane        integer not null,
    seal        bigint not null,
    position    bigint not null,
    marked_at   timestamptz not null default clock_timestamp(),
    primary key (destination, lane, seal),
    foreign key (destination, lane) references relay.lane
);

comment on table relay.mark is 'Positions that a lane passed, with the time. Private.';
