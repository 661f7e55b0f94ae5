-- Which messages a destination takes, by seal: the version in force is a function of the seal, so positions never move. A filter
-- that lived only on a command line would make two relays double or lose messages.
create table relay.route (
    destination text not null references relay.destination,
    version     integer not null,
    from_seal   bigint not null,
    topics      text[] not null check (cardinality(topics) > 0),
    patterns    text[] not null generated always as (relay.like_patterns(topics)) stored,
    lanes       integer not null check (lanes between 1 and 4096),
    created_at  timestamptz not null default clock_timestamp(),
    primary key (destination, version)
);

comment on table relay.route is 'Topics and lanes of each destination, from a seal on. Private; read relay.destinations.';
