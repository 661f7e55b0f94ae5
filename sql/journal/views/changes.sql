-- What was recorded, row by row, as it was recorded (not folded). Images are read statement by statement, so a filter on
-- session, transaction or time reads no others; who may see them is decided in journal.images.
create view journal.changes as
select s.session_id,
       s.step_id,
       s.statement_id,
       s.transaction_id,
       s.executed_at as changed_at,
       s.db_user,
       s.db_role,
       s.relation,
       s.table_name,
       s.operation,
       i.key,
       i.before,
       i.after,
       i.changed_columns,
       i.elided_columns
  from journal.statements s
 cross join lateral journal.images(s.segment, array[s.statement_id]) i;

comment on view journal.changes is
    'Changed rows with their images. Images hold the columns that the caller may select now; of tables with row security or dropped tables only journal_auditor sees any.';
comment on column journal.changes.session_id is 'Agent session that the change belongs to; null: unbound.';
comment on column journal.changes.step_id is 'Step of that session; null: outside steps.';
comment on column journal.changes.statement_id is 'Statement that made the change; see journal.statements.';
comment on column journal.changes.transaction_id is 'Transaction that made the change.';
comment on column journal.changes.changed_at is 'When the statement started.';
comment on column journal.changes.db_user is 'session_user.';
comment on column journal.changes.db_role is 'The role set, else session_user.';
comment on column journal.changes.relation is 'The table, by its present name; a bare number where it was dropped.';
comment on column journal.changes.table_name is 'The table''s name when its segment was made.';
comment on column journal.changes.operation is 'INSERT, UPDATE, DELETE or TRUNCATE.';
comment on column journal.changes.key is 'Primary key after the change, or before it where the row was removed: column to text, by the names at capture.';
comment on column journal.changes.before is 'The row before: column to text as Postgres prints it, null for NULL. Null for an added row.';
comment on column journal.changes.after is 'The row after. Null for a removed row.';
comment on column journal.changes.changed_columns is 'Shown columns whose images differ; null for an added or removed row.';
comment on column journal.changes.elided_columns is 'Large columns that did not change and are therefore in neither image; null: none.';
