-- The statements of sessions or steps, by the bindings of their transactions: a statement belongs to the last binding
-- before it in its transaction. Those of sessions and steps that were taken back entirely, and still are, count as undone: they
-- are told apart by cancelled (null: all). Not where the rollback that did it is to be taken back with them: all of it is undone at once.
create function journal.undo_statements(session_ids uuid[], step_ids uuid[], cancelled boolean default false)
returns table (statement_id bigint, segment_id integer, relation oid, transaction_id xid8, ledger_xmin xid, depth smallint,
               same_cluster boolean, rows bigint, operation "char")
language sql stable
begin atomic
    with cancelled as materialized (
        select r.session_id, r.step_id from journal.reversal r
         where r.session_id = any (undo_statements.session_ids) and not r.partly and journal.effective_rollback(r.rollback_id) is null
           and r.rollback_id <> all (undo_statements.session_ids)
    )
    select s.statement_id, s.segment_id, g.relation::oid, s.transaction_id, s.xmin, s.depth, s.cluster = journal.cluster_id(), s.rows, s.operation
      from journal.binding b
     cross join lateral (
           select coalesce(pg_catalog.min(x.statement_id), 9223372036854775807) as statement_id
             from journal.binding x
            where x.transaction_id = b.transaction_id and x.cluster = b.cluster and x.statement_id > b.statement_id) following
      join journal.statement s
        on s.transaction_id = b.transaction_id and s.cluster = b.cluster
       and s.statement_id > b.statement_id and s.statement_id < following.statement_id
      join journal.segment g on g.segment_id = s.segment_id
     where b.session_id = any (undo_statements.session_ids)
       and (undo_statements.step_ids is null or b.step_id = any (undo_statements.step_ids))
       and (undo_statements.cancelled is null or undo_statements.cancelled = exists (
           select from cancelled c where c.session_id = b.session_id and (c.step_id is null or c.step_id = b.step_id)));
end;

comment on function journal.undo_statements(uuid[], uuid[], boolean) is 'The captured statements of sessions, or of some of their steps. Private.';
