-- One row per try of a step, insert only: written when the try begins, or after a failed try was rolled back. A try that has
-- begun is completed by its receipt; one that was committed without a receipt has an unknown outcome, and keeps its key. No CHECK constraints: see journal.statement.
create table journal.step (
    step_id          uuid primary key,
    session_id       uuid not null,
    tool             text not null,
    kind             text,
    tenant           text not null,
    key              text,
    attempt          integer not null,
    status           text not null,
    holds_key        boolean not null,
    replay_of        uuid,
    arguments        jsonb,
    arguments_digest text,
    details          jsonb,
    result           jsonb,
    error            jsonb,
    transaction_id   xid8 not null,
    cluster          bigint not null,
    started_at       timestamptz not null,
    ended_at         timestamptz,
    key_expires_at   timestamptz,
    outer_session_id uuid,
    outer_step_id    uuid,
    db_user          name not null,
    db_role          name not null
);

-- The reservation of a key: a second caller waits here until the first has committed or rolled back.
create unique index step_key on journal.step (tenant, tool, key, attempt) where holds_key;
create index step_session on journal.step (session_id, started_at, step_id);

comment on table journal.step is 'Tries of steps, and the keys they hold. Private; read journal.steps.';
comment on column journal.step.status is 'begun, replayed, failed, or intended: an external effect, whose outcome is in journal.external.';
comment on column journal.step.holds_key is 'Whether this try is what a retry of its key finds. Turned off when the key has expired.';
comment on column journal.step.result is 'The recorded failure of a try that failed for good; the result of a completed step is in its receipt.';
comment on column journal.step.outer_session_id is 'What the transaction was bound to when the step began; it is bound again when the step ends.';
