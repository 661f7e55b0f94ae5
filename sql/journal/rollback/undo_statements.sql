-- The statements of sessions or steps, by the bindings of their transactions: a statement belongs to the last binding
-- before it in its transaction. What was taken back, and still is, counts as undone: it is told apart by cancelled (null: all). Of a statement of
-- which a rollback left some rows as they are, rows counts those, or with cancelled the others; taken_by says which rollbacks to ask (undo_images).
create function journal.undo_statements(session_ids uuid[], step_ids uuid[], cancelled boolean default false)
returns table (statement_id bigint, segment_id integer, relation oid, transaction_id xid8, ledger_xmin xid, depth smallint,
               same_cluster boolean, rows bigint, operation "char", taken_by uuid[])
language sql stable
begin atomic
    with settled as materialized (
        select d.* from journal.undo_settled(undo_statements.session_ids) d where undo_statements.cancelled is not null
    ), statement as (
        select s.*, s.xmin as ledger_xmin, g.relation::oid as relation, t.taken_by, t.wholly
          from journal.binding b
         cross join lateral (
               select coalesce(pg_catalog.min(x.statement_id), 9223372036854775807) as statement_id
                 from journal.binding x
                where x.transaction_id = b.transaction_id and x.cluster = b.cluster and x.statement_id > b.statement_id) following
          join journal.statement s
            on s.transaction_id = b.transaction_id and s.cluster = b.cluster
           and s.statement_id > b.statement_id and s.statement_id < following.statement_id
          join journal.segment g on g.segment_id = s.segment_id
         cross join lateral (
               select pg_catalog.array_agg(d.rollback_id) as taken_by, coalesce(pg_catalog.bool_or(not d.partly), false) as wholly
                 from settled d
                where d.session_id = b.session_id and (d.step_id is null or d.step_id = b.step_id)
                  and not (d.partly and exists (select from journal.left_image l where l.statement_id = s.statement_id and l.rollback_id = d.rollback_id and l.row_key is null))) t
         where b.session_id = any (undo_statements.session_ids)
           and (undo_statements.step_ids is null or b.step_id = any (undo_statements.step_ids))
    )
    select s.statement_id, s.segment_id, s.relation, s.transaction_id, s.ledger_xmin, s.depth, s.cluster = journal.cluster_id(),
           case when undo_statements.cancelled then s.rows - e.rows else e.rows end, s.operation, s.taken_by
      from statement s
     cross join lateral (
           select case when s.taken_by is null then s.rows when s.wholly then 0
                       else (select pg_catalog.count(*)
                               from (select from journal.left_image l where l.statement_id = s.statement_id and l.rollback_id = any (s.taken_by)
                                      group by l.row_key having pg_catalog.count(*) = pg_catalog.cardinality(s.taken_by)) l) end as rows) e
     where case when undo_statements.cancelled then e.rows < s.rows else s.taken_by is null or e.rows > 0 end;
end;

comment on function journal.undo_statements(uuid[], uuid[], boolean) is 'The captured statements of sessions, or of some of their steps. Private.';
