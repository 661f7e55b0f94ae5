-- One row per intent of an external effect, committed before anything is sent; its row is locked by whoever is at it. What became
-- of it is written in the commit of the step, or afterwards. The step row holds the key.
create table journal.external (
    step_id        uuid primary key references journal.step,
    provider_key   text not null,
    runner         uuid not null,
    status         text not null default 'intended' check (status in ('intended', 'unknown', 'completed', 'failed')),
    result         jsonb,
    error          jsonb,
    transaction_id xid8,
    settled_at     timestamptz,
    settled_by     text,
    note           text
);

create index external_provider_key on journal.external (provider_key);
create index external_unsettled on journal.external (step_id) where status in ('intended', 'unknown');

comment on table journal.external is 'Intents of external effects and what became of them. Private; read journal.externals.';
comment on column journal.external.runner is 'The call that may run it: nobody else does, whoever finds it first.';
comment on column journal.external.transaction_id is 'Transaction that completed it.';
