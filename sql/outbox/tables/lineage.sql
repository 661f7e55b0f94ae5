-- One row per history of this database: a failover or a point-in-time restore opens the next. Written at the first seal, not at
-- installation, so that databases made from one template are not taken for each other.
create table outbox.lineage (
    no                integer primary key,
    lineage_id        uuid not null unique default outbox.uuid7(),
    system_identifier bigint,
    timeline          bigint,
    database          oid not null,
    from_seal         bigint not null,
    opened_at         timestamptz not null default clock_timestamp()
);

comment on table outbox.lineage is 'Histories of this database, told apart by cluster, timeline and database. Private.';
