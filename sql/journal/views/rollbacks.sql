-- Committed rollbacks: a row exists if and only if that rollback committed.
create view journal.rollbacks as
select r.rollback_id,
       r.session_ids,
       r.step_ids,
       r.on_conflict,
       r.reason,
       r.db_user,
       r.db_role,
       r.started_at,
       r.applied_at,
       r.plan_digest,
       (r.report #>> '{changes,total}')::bigint as changes,
       (r.report #>> '{rows,total}')::bigint as rows,
       (r.report #>> '{rows,restore}')::bigint + (r.report #>> '{rows,remove}')::bigint + (r.report #>> '{rows,reinsert}')::bigint
           + (r.report #>> '{rows,adjust}')::bigint as undone,
       (r.report #>> '{rows,noop}')::bigint as noop,
       (r.report #>> '{rows,force}')::bigint as forced,
       (r.report #>> '{rows,conflict}')::bigint + (r.report #>> '{rows,refuse}')::bigint as left_as_is,
       (r.report #>> '{messages,cancel}')::bigint as messages_cancelled,
       (r.report #>> '{messages,compensate}')::bigint as messages_compensated,
       (select count(*) from journal.residue_item i where i.rollback_id = r.rollback_id) as residue,
       case when journal.session_reversed(r.rollback_id) = 'fully' then r.reversed_by end as reversed_by,
       case when journal.is_auditor(journal.caller()) then r.report else journal.without_values(r.report) end as report
  from journal.rollback r;

comment on view journal.rollbacks is 'Committed rollbacks. A row exists if and only if that rollback committed.';
comment on column journal.rollbacks.rollback_id is 'Id of the rollback, which is a session too: roll it back to redo.';
comment on column journal.rollbacks.session_ids is 'Sessions that were rolled back, child sessions included.';
comment on column journal.rollbacks.step_ids is 'Steps that were rolled back; null: whole sessions.';
comment on column journal.rollbacks.on_conflict is 'refuse, skip, cascade or force.';
comment on column journal.rollbacks.reason is 'Why, in the words of whoever rolled back.';
comment on column journal.rollbacks.db_user is 'session_user of whoever rolled back.';
comment on column journal.rollbacks.db_role is 'Role set, or session_user.';
comment on column journal.rollbacks.started_at is 'When planning began.';
comment on column journal.rollbacks.applied_at is 'When all was applied and verified, shortly before the commit.';
comment on column journal.rollbacks.plan_digest is 'Digest of the plan that was applied.';
comment on column journal.rollbacks.changes is 'Journaled changes of the sessions.';
comment on column journal.rollbacks.rows is 'Rows that those changes come down to.';
comment on column journal.rollbacks.undone is 'Rows restored, removed, inserted again or adjusted.';
comment on column journal.rollbacks.noop is 'Rows with nothing to do.';
comment on column journal.rollbacks.forced is 'Rows overwritten although somebody changed them since.';
comment on column journal.rollbacks.left_as_is is 'Rows left as they are: conflicts that were skipped.';
comment on column journal.rollbacks.messages_cancelled is 'Messages cancelled before they were sealed.';
comment on column journal.rollbacks.messages_compensated is 'Messages answered by their declared compensation.';
comment on column journal.rollbacks.residue is 'Entries in journal.residue.';
comment on column journal.rollbacks.reversed_by is 'The rollback that rolled this one back, and is itself in effect; null: this one is in effect, at least in part.';
comment on column journal.rollbacks.report is 'The whole report, schema journal.rollback/1. key, base, ours and theirs of its conflicts are null except for journal_auditor; see journal.residue.';
