-- One row per committed rollback, written in its own transaction. A rollback is a session too: rollback_id is its id.
create table journal.rollback (
    rollback_id  uuid primary key references journal.session,
    session_ids  uuid[] not null,
    step_ids     uuid[],
    on_conflict  text not null,
    reason       text not null,
    db_user      name not null,
    db_role      name,
    started_at   timestamptz not null,
    applied_at   timestamptz not null,
    plan_digest  text not null,
    report       jsonb not null,
    reversed_by  uuid
);

create index rollback_sessions on journal.rollback using gin (session_ids);

comment on table journal.rollback is 'Committed rollbacks. Private; read journal.rollbacks.';
