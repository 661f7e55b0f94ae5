-- SQL text: the images of the sessions on one table as rows i, with their place, kind (U, I, D) and the columns that differ. The limit, one
-- more than the ledger counts, tells the planner how many to expect: it decides whether the table is read by its key or as a whole.
create function journal.undo_source(relation oid) returns text
language plpgsql stable
as $undo_source$
#variable_conflict use_variable
declare
    inserted     constant text := journal.undo_list(relation, 'i.o%1$s is null', ' and ', 'key');
    deleted      constant text := journal.undo_list(relation, 'i.n%1$s is null', ' and ', 'key');
    args         record;
begin
    select a.session_ids, a.step_ids, u.loaded, u.segments, u.only_updates into args
      from pg_temp.journal_undo_args a, pg_temp.journal_undo u where u.relation = undo_source.relation;
    return format($source$
        select i.ordinality as place, i.statement_id, i.transaction_id, i.ledger_xmin, i.same_cluster, i.depth, i.elided, %1$s as kind, %2$s as changed, %3$s
          from (select * from rows from (journal.undo_images(%4$s, %8$L, %9$L, %11$L, %5$L)
                    as (statement_id bigint, transaction_id xid8, ledger_xmin xid, same_cluster boolean, depth smallint, elided int2[], %6$s, %7$s)) with ordinality as i
                 limit %10$s) i$source$,
        case when args.only_updates then '''U''::text' else format('case when %s then ''I'' when %s then ''D'' else ''U'' end', inserted, deleted) end,
        case when args.only_updates then journal.undo_changed(relation)
             else format('case when %s or %s then ''{}'' else %s end', inserted, deleted, journal.undo_changed(relation)) end,
        journal.undo_list(relation, 'i.o%1$s as b%1$s, i.n%1$s as a%1$s', ', '),
        relation,
        (select array_agg(c.attnum) from pg_temp.journal_undo_column c where c.relation = undo_source.relation and c.carried),
        journal.undo_list(relation, 'o%1$s %3$s', ', '), journal.undo_list(relation, 'n%1$s %3$s', ', '),
        args.session_ids, args.step_ids, args.loaded + 1, args.segments);
end
$undo_source$;

comment on function journal.undo_source(oid) is 'SQL text: the images of the sessions on one table. Private.';
