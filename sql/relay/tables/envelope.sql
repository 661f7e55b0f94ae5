-- One message as a relay reads it, in text that goes on the wire as it is.
create type relay.envelope as (
    seal        bigint,
    place       bigint,
    lane        integer,
    message_id  text,
    lineage     text,
    topic       text,
    key         text,
    type        text,
    data        text,
    headers     text,
    compensates text,
    caused_by   text,
    created_at  text,
    bytes       integer,
    aside       boolean
);

comment on type relay.envelope is 'A sealed message as relays read it. Private.';
