-- Agent sessions and rollbacks. A session that carries a stop mark is stopped, also while its row still says open: the row is
-- not written while the session works.
create view journal.sessions as
select s.session_id,
       s.parent_session_id,
       s.kind,
       s.agent,
       s.task,
       s.tenant,
       s.run_id,
       case when s.status <> 'open' then s.status
            when mark.stopped_at is not null then 'stopped'
            when coalesce(bound.last_bound_at, s.opened_at) < now() - journal.abandoned_after() then 'abandoned'
            else 'open' end as status,
       coalesce(s.status_reason, case when s.status = 'open' then mark.reason end) as status_reason,
       journal.session_reversed(s.session_id) as reversed,
       s.opened_at,
       bound.last_bound_at,
       coalesce(s.closed_at, case when s.status = 'open' then mark.stopped_at end) as closed_at,
       s.opened_at + journal.retention() as undoable_until,
       s.db_user,
       s.db_role,
       s.application_name,
       s.hold,
       s.details
  from journal.session s
  left join lateral (
       select b.bound_at as last_bound_at from journal.binding b where b.session_id = s.session_id order by b.statement_id desc limit 1
       ) bound on true
  left join lateral (
       select p.stopped_at, p.reason
         from journal.stop p
        where (p.session_id = s.session_id or p.agent = s.agent) and p.lifted_at is null
        order by p.stop_id
        limit 1
       ) mark on true;

comment on view journal.sessions is 'Agent sessions: one run of an agent each, the unit of rollback; and the rollbacks, which are sessions too.';
comment on column journal.sessions.session_id is 'Id of the session.';
comment on column journal.sessions.parent_session_id is 'Session that opened this one.';
comment on column journal.sessions.kind is 'agent or rollback.';
comment on column journal.sessions.agent is 'Name of the agent; of a rollback, who rolled back.';
comment on column journal.sessions.task is 'What the agent was asked to do.';
comment on column journal.sessions.tenant is 'Tenant that the session works for; empty: none.';
comment on column journal.sessions.run_id is 'Name of the run, unique per tenant and agent.';
comment on column journal.sessions.status is
    'open, closed, failed, stopped (binds no more) or abandoned (open, but not bound for a week; it may still work and be rolled back).';
comment on column journal.sessions.status_reason is 'Why it was closed or stopped.';
comment on column journal.sessions.reversed is 'no, partly or fully: how much of it a rollback took back.';
comment on column journal.sessions.opened_at is 'When it was opened.';
comment on column journal.sessions.last_bound_at is 'When a transaction was last bound to it; null: never.';
comment on column journal.sessions.closed_at is 'When it was closed or stopped.';
comment on column journal.sessions.undoable_until is 'Until when its images are kept.';
comment on column journal.sessions.db_user is 'session_user that opened it; nobody else may use it.';
comment on column journal.sessions.db_role is 'The role that its steps run as.';
comment on column journal.sessions.application_name is 'application_name of the connection that opened it.';
comment on column journal.sessions.hold is 'Default hold of its messages: close or a duration; null: none.';
comment on column journal.sessions.details is 'What the opener noted.';
