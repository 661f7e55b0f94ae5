-- How far messages were dropped: one row. Seals up to through_seal are no longer whole; whoever comes new begins after it.
create table outbox.pruned (
    one          boolean primary key default true check (one),
    through_seal bigint not null default 0,
    through_id   bigint not null default 0,
    pruned_at    timestamptz
);

insert into outbox.pruned default values;

comment on table outbox.pruned is 'How far messages were dropped. Private.';
