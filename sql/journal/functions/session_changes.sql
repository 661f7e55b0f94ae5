-- The changes of one session in the order of their statements. Segment by segment: the view reads statement by statement,
-- which costs more than the images where statements are small.
create function journal.session_changes(session_id uuid) returns setof journal.changes
language sql stable
begin atomic
    select s.session_id, s.step_id, s.statement_id, s.transaction_id, s.executed_at, s.db_user, s.db_role, s.relation, s.table_name,
           s.operation, i.key, i.before, i.after, i.changed_columns, i.elided_columns
      from (select w.segment, array_agg(w.statement_id) as statement_ids
              from journal.statements w
             where w.session_id = session_changes.session_id
             group by w.segment) written
     cross join lateral journal.images(written.segment, written.statement_ids) i
      join journal.statements s on s.session_id = session_changes.session_id and s.statement_id = i.statement_id
     order by s.statement_id;
end;

comment on function journal.session_changes(uuid) is 'Rows of journal.changes of one session, in the order of their statements; faster than the view.';
