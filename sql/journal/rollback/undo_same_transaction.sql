-- Those of some statements that were in one transaction with one of others.
create function journal.undo_same_transaction(statement_ids bigint[], others bigint[]) returns bigint[]
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select pg_catalog.array_agg(s.statement_id)
      from unnest(undo_same_transaction.statement_ids) as k (statement_id)
      join journal.statement s using (statement_id)
     where (s.transaction_id, s.cluster) in (
           select o.transaction_id, o.cluster from unnest(undo_same_transaction.others) as n (statement_id) join journal.statement o using (statement_id));
end;

comment on function journal.undo_same_transaction(bigint[], bigint[]) is 'Statements in one transaction with others. Private.';
