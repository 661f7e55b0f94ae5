-- Fills the work table of one table: one row per image (b before, a after), judged at once against the live rows. What a
-- session touched once, nearly always nearly everything, is final with that; the rest is folded and judged again.
create function journal.undo_load(relation oid, session_ids uuid[], step_ids uuid[]) returns void
language plpgsql volatile
as $undo_load$
#variable_conflict use_variable
declare
    only_updates constant boolean := (select u.only_updates from pg_temp.journal_undo u where u.relation = undo_load.relation);
    inserted     constant text := journal.undo_list(relation, 'i.o%1$s is null', ' and ', 'key');
    deleted      constant text := journal.undo_list(relation, 'i.n%1$s is null', ' and ', 'key');
begin
    execute format('create temporary table %I on commit drop as %s', 'journal_undo_' || relation, journal.undo_judge(relation, format($load$(
        select i.row_no, i.row_no as identity, 1::bigint as images, %1$s as kind,
               i.statement_id as first_statement, i.statement_id as last_statement, array[i.ledger_xmin] as xmins, i.same_cluster, i.depth, i.transaction_id,
               i.elided, %2$s as changed, '{}'::int2[] as broken, %3$s
          from (select row_number() over () as row_no, *
                  from journal.undo_images(%4$s, $1, $2, %5$L) as i (statement_id bigint, transaction_id xid8, ledger_xmin xid,
                       same_cluster boolean, depth smallint, elided int2[], %6$s, %7$s)) i)$load$,
        case when only_updates then '''U''::text' else format('case when %s then ''I'' when %s then ''D'' else ''U'' end', inserted, deleted) end,
        case when only_updates then journal.undo_changed(relation)
             else format('case when %s or %s then ''{}'' else %s end', inserted, deleted, journal.undo_changed(relation)) end,
        journal.undo_list(relation, 'i.o%1$s as b%1$s, i.n%1$s as a%1$s', ', '),
        relation,
        (select array_agg(c.attnum) from pg_temp.journal_undo_column c where c.relation = undo_load.relation and c.carried),
        journal.undo_list(relation, 'o%1$s %3$s', ', '), journal.undo_list(relation, 'n%1$s %3$s', ', '))))
    using session_ids, step_ids;
    -- a sample of 300 rows tells the planner how many rows have which status: without, it expects one and loops over the rest
    perform set_config('default_statistics_target', '1', true);
    execute format('analyze pg_temp.%I (status, kind, depth, restored)', 'journal_undo_' || relation);
    perform journal.undo_fold(relation);
    perform journal.undo_reconsider(relation);
end
$undo_load$;

comment on function journal.undo_load(oid, uuid[], uuid[]) is 'Fills the work table of one table of a rollback. Private.';
