-- Whether others have deleted rows of a table since a statement: a look at the ledger, before any image is read.
create function journal.undo_deleted_since(relation oid, session_ids uuid[], step_ids uuid[], since bigint) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select exists (
        select from journal.segment g
          join journal.statement d on d.segment_id = g.segment_id and d.operation in ('D', 'T') and d.statement_id > undo_deleted_since.since
         where g.relation = undo_deleted_since.relation
           and d.statement_id not in (select s.statement_id from journal.undo_statements(undo_deleted_since.session_ids, undo_deleted_since.step_ids) s));
end;

comment on function journal.undo_deleted_since(oid, uuid[], uuid[], bigint) is 'Whether others have deleted rows of a table since a statement. Private.';
