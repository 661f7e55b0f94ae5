-- The agent sessions that statements belong to; statements of nobody and of rollbacks belong to none.
create function journal.undo_agents_of(statement_ids bigint[]) returns setof uuid
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select distinct s.session_id
      from journal.statement l
     cross join lateral (select b.session_id from journal.binding b
                          where b.transaction_id = l.transaction_id and b.cluster = l.cluster and b.statement_id < l.statement_id
                          order by b.statement_id desc limit 1) b
      join journal.session s on s.session_id = b.session_id and s.kind = 'agent'
     where l.statement_id = any (statement_ids);
end;

comment on function journal.undo_agents_of(bigint[]) is 'The agent sessions of statements. Private.';
