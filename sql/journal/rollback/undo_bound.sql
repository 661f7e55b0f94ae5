-- The sessions and steps that statements were made in; statements of nobody are left out.
create function journal.undo_bound(statement_ids bigint[]) returns table (statement_id bigint, transaction_id xid8, depth smallint, session_id uuid, step_id uuid)
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select l.statement_id, l.transaction_id, l.depth, b.session_id, b.step_id
      from journal.statement l
     cross join lateral (
           select b.session_id, b.step_id from journal.binding b
            where b.transaction_id = l.transaction_id and b.cluster = l.cluster and b.statement_id < l.statement_id
            order by b.statement_id desc limit 1) b
     where l.statement_id = any (undo_bound.statement_ids);
end;

comment on function journal.undo_bound(bigint[]) is 'The sessions and steps of statements. Private.';
