-- The statements that a plan reads: those of the sessions that are in effect, and on the same tables (standing) those of rollbacks
-- by which alone it is known what of them is taken back.
create function journal.undo_planned(session_ids uuid[], step_ids uuid[])
returns table (statement_id bigint, segment_id integer, relation oid, transaction_id xid8, ledger_xmin xid, depth smallint,
               same_cluster boolean, rows bigint, operation "char", taken_by uuid[], standing boolean)
language sql stable
begin atomic
    with named as materialized (
        select s.* from journal.undo_statements(undo_planned.session_ids, undo_planned.step_ids) s
    ), unsettled as materialized (  -- once, and not for each binding that it is compared with
        select journal.undo_standing(undo_planned.session_ids) as rollback_ids
    )
    select n.*, false from named n
    union all
    select s.*, true
      from unsettled u
     cross join lateral journal.undo_statements(u.rollback_ids, null) s
     where s.relation in (select n.relation from named n);
end;

comment on function journal.undo_planned(uuid[], uuid[]) is 'The captured statements that a plan reads. Private.';
