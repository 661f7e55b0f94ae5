-- The ledger, attributed: a statement belongs to the last binding before it in its transaction. Two branches, because a
-- filter on a session must start from the session's bindings, and one on time or transaction from the statements.
create view journal.statements as
select s.statement_id,
       b.session_id,
       b.step_id,
       s.transaction_id,
       g.relation,
       g.table_name,
       journal.operation_name(s.operation) as operation,
       s.rows,
       s.executed_at,
       s.db_user::name as db_user,
       coalesce(nullif(s.db_role, 'none'), s.db_user)::name as db_role,
       'segment_' || s.segment_id as segment
  from journal.binding b
 cross join lateral (
       select min(later.statement_id) as statement_id
         from journal.binding later
        where later.transaction_id = b.transaction_id and later.cluster = b.cluster and later.statement_id > b.statement_id
       ) next
  join journal.statement s
    on s.transaction_id = b.transaction_id and s.cluster = b.cluster and s.statement_id > b.statement_id
   and (s.statement_id < next.statement_id or next.statement_id is null)
  join journal.segment g on g.segment_id = s.segment_id
 where b.session_id is not null
union all
select s.statement_id,
       null,
       null,
       s.transaction_id,
       g.relation,
       g.table_name,
       journal.operation_name(s.operation),
       s.rows,
       s.executed_at,
       s.db_user::name,
       coalesce(nullif(s.db_role, 'none'), s.db_user)::name,
       'segment_' || s.segment_id
  from journal.statement s
  join journal.segment g on g.segment_id = s.segment_id
  left join lateral (
       select b.session_id
         from journal.binding b
        where b.transaction_id = s.transaction_id and b.cluster = s.cluster and b.statement_id < s.statement_id
        order by b.statement_id desc
        limit 1
       ) last on true
 where last.session_id is null;

comment on view journal.statements is 'Captured statements and whose they are: counts without images. One row per statement that changed a covered table.';
comment on column journal.statements.statement_id is 'Id of the statement: between transactions that change the same row, in the order of the changes.';
comment on column journal.statements.session_id is 'Agent session that the statement belongs to; null: unbound.';
comment on column journal.statements.step_id is 'Step of that session; null: outside steps.';
comment on column journal.statements.transaction_id is 'Transaction that ran the statement.';
comment on column journal.statements.relation is 'The table, by its present name; a bare number where it was dropped.';
comment on column journal.statements.table_name is 'The table''s name when its segment was made.';
comment on column journal.statements.operation is 'INSERT, UPDATE, DELETE or TRUNCATE. An upsert or MERGE is a statement for each kind of change it made.';
comment on column journal.statements.rows is 'Changed rows.';
comment on column journal.statements.executed_at is 'When the statement started.';
comment on column journal.statements.db_user is 'session_user.';
comment on column journal.statements.db_role is 'The role set, else session_user.';
comment on column journal.statements.segment is 'Segment that holds the images; see journal.segments.';
