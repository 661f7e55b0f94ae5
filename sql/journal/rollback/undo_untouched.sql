-- The steps that a rollback leaves whole: rows that they changed are left as they are, and nothing of theirs is taken back. For what was done outside of
-- steps: the session, and the transactions. Known are the tables that are left as a whole, and the statements of rows that stay and that are taken
-- back. What triggers wrote follows from the rows that they fired for, which decide.
create function journal.undo_untouched(session_ids uuid[], step_ids uuid[], tables oid[], stayed bigint[], taken bigint[], out steps uuid[], out transactions xid8[])
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with told (statement_id, taken) as materialized (
        select x, false from pg_catalog.unnest(undo_untouched.stayed) x
        union all select x, true from pg_catalog.unnest(undo_untouched.taken) x
        union all select x.statement_id, false from journal.undo_statements(undo_untouched.session_ids, undo_untouched.step_ids) x
                   where x.relation = any (undo_untouched.tables)
    ), touched as (
        select b.session_id, b.step_id, b.transaction_id, t.taken, b.depth <= 1 as directly
          from told t
          join journal.undo_bound(array(select distinct t.statement_id from told t)) b using (statement_id)
    ), work as (
        select coalesce(t.step_id, t.session_id) as step_id, case when t.step_id is null then t.transaction_id end as transaction_id,
               pg_catalog.bool_or(t.taken and t.directly) or pg_catalog.bool_or(t.taken) and not pg_catalog.bool_or(t.directly) as taken
          from touched t
         group by 1, 2
    )
    select array(select w.step_id from work w group by w.step_id having not pg_catalog.bool_or(w.taken)),
           array(select w.transaction_id from work w where w.transaction_id is not null group by w.transaction_id having not pg_catalog.bool_or(w.taken));
end;

comment on function journal.undo_untouched(uuid[], uuid[], oid[], bigint[], bigint[]) is 'The steps of which a rollback takes nothing back. Private.';
