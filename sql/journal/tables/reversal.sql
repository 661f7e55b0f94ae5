-- Which sessions and steps a rollback took back. Insert only: a rollback that is rolled back itself no longer counts.
create table journal.reversal (
    reversal_id bigint generated always as identity primary key,
    session_id  uuid not null,
    step_id     uuid,
    rollback_id uuid not null,
    partly      boolean not null default false,
    reversed_at timestamptz not null default clock_timestamp()
);

create index reversal_session on journal.reversal (session_id);

comment on table journal.reversal is 'Sessions and steps that were rolled back. Private; read journal.sessions, journal.steps and journal.receipts.';
comment on column journal.reversal.step_id is 'Null: the whole session.';
comment on column journal.reversal.partly is 'Some of it was left as it is: conflicts skipped.';
