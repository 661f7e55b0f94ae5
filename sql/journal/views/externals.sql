-- External effects: what was intended, and what became of it.
create view journal.externals as
select e.step_id, s.session_id, s.tool, s.kind, s.tenant, s.key, s.attempt, e.status, e.provider_key, s.started_at as intended_at, e.settled_at,
       e.settled_by, e.error, e.note
  from journal.external e
  join journal.step s on s.step_id = e.step_id;

comment on view journal.externals is 'External effects: intended before they are made, and what became of them.';
comment on column journal.externals.step_id is 'Its step.';
comment on column journal.externals.session_id is 'Agent session that intended it.';
comment on column journal.externals.tool is 'Name of the tool.';
comment on column journal.externals.kind is 'Kind of the tool; null: not said.';
comment on column journal.externals.tenant is 'Tenant of the session.';
comment on column journal.externals.key is 'Idempotency key.';
comment on column journal.externals.attempt is 'Which attempt under the key.';
comment on column journal.externals.status is
    'intended (a caller is at it, or died), unknown (its caller could not tell), completed, or failed. Intended and unknown are never run again before a probe or a person said what happened.';
comment on column journal.externals.provider_key is 'What the provider knows the request by.';
comment on column journal.externals.intended_at is 'When the intent was recorded.';
comment on column journal.externals.settled_at is 'When its outcome was recorded; null: it is open.';
comment on column journal.externals.settled_by is 'Database user that recorded it.';
comment on column journal.externals.error is 'What its caller met: type and sqlstate.';
comment on column journal.externals.note is 'How the outcome is known, where its own caller did not say.';
