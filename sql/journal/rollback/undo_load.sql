-- Fills the work table of one table: one row per image first (b before, a after), then rows that were touched more than
-- once are folded into one. What a session touched once, nearly always nearly everything, is final with the first step.
create function journal.undo_load(relation oid, session_ids uuid[], step_ids uuid[]) returns void
language plpgsql volatile
as $undo_load$
#variable_conflict use_variable
declare
    work text := 'journal_undo_' || relation;
    moved boolean;
begin
    execute format($load$
        create temporary table %1$I on commit drop as
        select i.row_no, min(i.row_no) over w as identity, count(*) over w as images,
               case when %2$s then 'I' when %3$s then 'D' else 'U' end::text as kind,
               i.statement_id as first_statement, i.statement_id as last_statement, array[i.ledger_xmin] as xmins, i.same_cluster,
               i.depth, i.transaction_id, coalesce(i.elided, '{}') as elided,
               case when %2$s or %3$s then '{}'::int2[] else array_remove(array[%4$s], null) end as changed, '{}'::int2[] as broken,
               'restore'::text as status, null::text as reason, null::int2 as culprit, null::text as constraint_name,
               null::bigint as their_statement, null::text as theirs, null::boolean as live, false as traced, %5$s
          from (select row_number() over (order by statement_id) as row_no, *
                  from journal.undo_images(%6$s, $1, $2) as i (statement_id bigint, transaction_id xid8, ledger_xmin xid,
                       same_cluster boolean, depth smallint, elided int2[], %7$s, %8$s)) i
        window w as (partition by %9$s)$load$,
        work,
        journal.undo_list(relation, 'i.o%1$s is not distinct from null', ' and ', 'key'),
        journal.undo_list(relation, 'i.n%1$s is not distinct from null', ' and ', 'key'),
        journal.undo_list(relation, 'case when pg_catalog.record_image_ne(row(i.o%1$s), row(i.n%1$s)) then %1$s::int2 end', ', '),
        journal.undo_list(relation, 'i.o%1$s as b%1$s, i.n%1$s as a%1$s', ', '),
        relation,
        journal.undo_list(relation, 'o%1$s %3$s', ', '), journal.undo_list(relation, 'n%1$s %3$s', ', '),
        journal.undo_list(relation, 'coalesce(i.n%1$s, i.o%1$s)', ', ', 'key'))
    using session_ids, step_ids;
    execute format('select exists (select from pg_temp.%I u where u.kind = ''U'' and pg_catalog.record_image_ne(row(%s), row(%s)))', work,
                   journal.undo_list(relation, 'u.b%1$s', ', ', 'key'), journal.undo_list(relation, 'u.a%1$s', ', ', 'key'))
       into moved;
    if moved then
        perform journal.undo_trace(relation);
    end if;
    perform journal.undo_fold(relation);
end
$undo_load$;

comment on function journal.undo_load(oid, uuid[], uuid[]) is 'Fills the work table of one table of a rollback. Private.';
