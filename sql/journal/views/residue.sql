-- What rollbacks could not undo: a list to tick off. Values of rows are shown as images are: to whoever may see the column
-- now. What stands in the way at another table, or as a whole row, is no value of that column. What a rollback left needs nobody while that rollback
-- is itself taken back: it reads as resolved by whoever did that, and is open again should it come into effect again.
create view journal.residue as
with moot as materialized (
    select r.rollback_id, x.applied_at, x.db_user, 'taken back by ' || x.rollback_id as note
      from journal.rollback r join journal.rollback x on x.rollback_id = r.reversed_by
     where journal.session_reversed(r.rollback_id) = 'fully'
)
select i.residue_id, i.rollback_id, i.session_id, i.kind, i.relation, i.table_name,
       case when i.kind <> 'row' or journal.may_see(i.relation, i.key_attnums, seer.name) then i.key end as key,
       i.column_name, i.reason,
       case when journal.may_see(i.relation, array[i.attnum], seer.name) then i.base end as base,
       case when journal.may_see(i.relation, array[i.attnum], seer.name) then i.ours end as ours,
       case when case when i.reason in ('changed_since', 'changed_and_back', 'retyped', 'trigger_rewrote') then journal.may_see(i.relation, array[i.attnum], seer.name)
                      else journal.may_see(case when i.reason <> 'referenced_since' then i.relation end, null, seer.name) end then i.theirs end as theirs,
       i.their_session_id, i.their_user, i.their_at, i.message_id, i.destination,
       coalesce(i.resolved_at, m.applied_at) as resolved_at,
       case when i.resolved_at is null then m.db_user else i.resolved_by end as resolved_by,
       case when i.resolved_at is null then m.note else i.note end as note
  from journal.residue_item i
  left join moot m on m.rollback_id = i.rollback_id
 cross join journal.caller() as seer (name);

comment on view journal.residue is 'What rollbacks could not undo, one row each, to be ticked off. key, base, ours and theirs are null for whoever may not select those columns now, or where the table is dropped or has row security; journal_auditor sees all.';
comment on column journal.residue.residue_id is 'Id of the entry.';
comment on column journal.residue.rollback_id is 'The rollback that left it.';
comment on column journal.residue.session_id is 'The session whose change it was; null where a rollback of several left it.';
comment on column journal.residue.kind is 'row, message, sequence, large_object, materialized_view or external.';
comment on column journal.residue.relation is 'Table of a row.';
comment on column journal.residue.table_name is 'Name of the table then.';
comment on column journal.residue.key is 'Primary key of a row, or key of a message.';
comment on column journal.residue.column_name is 'Column in conflict; null where it is the whole row.';
comment on column journal.residue.reason is 'Why it was left.';
comment on column journal.residue.base is 'Value before the session.';
comment on column journal.residue.ours is 'Value that the session left.';
comment on column journal.residue.theirs is 'Value found.';
comment on column journal.residue.their_session_id is 'Session that wrote it, where known.';
comment on column journal.residue.their_user is 'Database user that wrote it, where known.';
comment on column journal.residue.their_at is 'When, where known.';
comment on column journal.residue.message_id is 'Message that could not be taken back.';
comment on column journal.residue.destination is 'Destinations that it was meant for.';
comment on column journal.residue.resolved_at is 'When somebody ticked it off, or took the rollback back.';
comment on column journal.residue.resolved_by is 'Who did.';
comment on column journal.residue.note is 'What was done about it.';
