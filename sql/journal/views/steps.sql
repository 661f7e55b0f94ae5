-- Every try of every step: what completed, what failed, what was a replay.
create view journal.steps as
select s.step_id,
       s.session_id,
       (select count(*) from journal.step e
         where e.session_id = s.session_id and (e.started_at, e.step_id) <= (s.started_at, s.step_id))::integer as ordinal,
       s.tool,
       s.kind,
       s.tenant,
       s.key,
       s.attempt,
       case when e.status <> 'completed' then e.status
            when s.status not in ('begun', 'intended') then s.status
            when r.receipt_id is null then 'unknown'
            when journal.effective_rollback(s.session_id, s.step_id) is not null then 'reversed'
            else 'completed' end as status,
       s.replay_of,
       s.arguments,
       coalesce(s.result, e.result, r.document -> 'result') as result,
       coalesce(s.error, e.error) as error,
       coalesce(e.transaction_id, s.transaction_id) as transaction_id,
       s.started_at,
       coalesce(s.ended_at, e.settled_at, (r.document ->> 'committed_at')::timestamptz) as ended_at,
       s.key_expires_at,
       s.db_user,
       s.db_role,
       r.receipt_id
  from journal.step s
  left join journal.external e on e.step_id = s.step_id
  left join journal.receipt r on r.step_id = coalesce(s.replay_of, s.step_id);

comment on view journal.steps is 'Steps: one call of a tool each, with its outcome. Failed tries and replays have rows of their own.';
comment on column journal.steps.step_id is 'Id of the step.';
comment on column journal.steps.session_id is 'Agent session that made the call.';
comment on column journal.steps.ordinal is 'Place among the steps of its session, from 1.';
comment on column journal.steps.tool is 'Name of the tool.';
comment on column journal.steps.kind is 'read, idempotent, reversible, compensable or irreversible; null: not said.';
comment on column journal.steps.tenant is 'Tenant of the session: keys are unique per tenant and tool.';
comment on column journal.steps.key is 'Idempotency key; null: none.';
comment on column journal.steps.attempt is 'Which attempt under the key, from 1; a new one is due after a rollback or a final failure.';
comment on column journal.steps.status is
    'completed, failed, replayed (the key was completed before; nothing ran), reversed (completed, then rolled back), intended (an external effect that is being made, or whose caller died), or unknown (nobody could tell whether it took effect).';
comment on column journal.steps.replay_of is 'Of a replay: the step that did it.';
comment on column journal.steps.arguments is 'What identifies the effect; null: none, or only their digest is kept.';
comment on column journal.steps.result is 'Result; of a replay, that of the first time; of a step that failed for good, the recorded failure.';
comment on column journal.steps.error is 'Of a failed try: type and sqlstate of the error, and the message where it is one of ours.';
comment on column journal.steps.transaction_id is 'Transaction of the step; of a failed try, the one that recorded it.';
comment on column journal.steps.started_at is 'When it began.';
comment on column journal.steps.ended_at is 'When it was completed, or failed.';
comment on column journal.steps.key_expires_at is 'Until when, at least, a retry finds this step by its key: longer while an external effect is unknown or a later attempt is kept. null: this try holds no key.';
comment on column journal.steps.db_user is 'session_user.';
comment on column journal.steps.db_role is 'The role that the step ran as.';
comment on column journal.steps.receipt_id is 'Receipt of the step; of a replay, that of the first time.';
