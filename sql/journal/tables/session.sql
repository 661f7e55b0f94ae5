-- One row per agent session. The row is locked, never updated, while the session works: bind holds it
-- FOR SHARE, a rollback and the sealer wait on that lock or pass it by.
create table journal.session (
    session_id        uuid primary key,
    parent_session_id uuid references journal.session,
    kind              text not null default 'agent' check (kind in ('agent', 'rollback')),
    agent             text not null check (agent <> ''),
    task              text not null default '',
    tenant            text not null default '',
    run_id            text,
    role              name,
    status            text not null default 'open' check (status in ('open', 'closed', 'failed', 'stopped')),
    status_reason     text,
    opened_at         timestamptz not null default clock_timestamp(),
    closed_at         timestamptz,
    db_user           name not null,
    db_role           name not null,
    application_name  text not null default '',
    hold              text,
    details           jsonb not null default '{}'
);

create unique index session_run on journal.session (tenant, agent, run_id) where run_id is not null;
create index session_agent on journal.session (agent, opened_at);
create index session_opened on journal.session (opened_at);
create index session_parent on journal.session (parent_session_id) where parent_session_id is not null;

comment on table journal.session is 'Agent sessions: the unit of rollback. Private; read journal.sessions.';
comment on column journal.session.role is 'Role that each step sets; null: none.';
