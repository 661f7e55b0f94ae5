-- How many changes of sessions are taken back already, by rollbacks that are in effect, table by table.
create function journal.undo_already(session_ids uuid[], step_ids uuid[])
returns table (relation oid, table_name text, images bigint)
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select s.relation, coalesce(journal.qualified_name(s.relation), pg_catalog.max(g.table_name)), pg_catalog.sum(s.rows)::bigint
      from journal.undo_statements(undo_already.session_ids, undo_already.step_ids, true) s
      join journal.segment g on g.segment_id = s.segment_id
     group by s.relation;
end;

comment on function journal.undo_already(uuid[], uuid[]) is 'Changes of sessions that are taken back already. Private.';
