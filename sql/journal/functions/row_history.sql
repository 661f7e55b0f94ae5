-- Who changed a row: every recorded change that left it with this key, or found it with this key.
create function journal.row_history(relation regclass, key jsonb) returns setof journal.changes
language sql stable
begin atomic
    select s.session_id, s.step_id, s.statement_id, s.transaction_id, s.executed_at, s.db_user, s.db_role, s.relation, s.table_name,
           s.operation, i.row_key, i.before, i.after, i.changed_columns, i.elided_columns
      from journal.row_images(row_history.relation, row_history.key) i
      join journal.statements s using (statement_id)
     order by s.statement_id;
end;

comment on function journal.row_history(regclass, jsonb) is
    'Rows of journal.changes of the row with this key, such as {"id": 42}, oldest first. Reads all images of the table.';
