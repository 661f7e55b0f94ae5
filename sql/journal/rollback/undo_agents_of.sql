-- The agent sessions that statements belong to; statements of nobody and of rollbacks belong to none.
create function journal.undo_agents_of(statement_ids bigint[]) returns setof uuid
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select distinct s.session_id
      from journal.undo_bound(undo_agents_of.statement_ids) b
      join journal.session s on s.session_id = b.session_id and s.kind = 'agent';
end;

comment on function journal.undo_agents_of(bigint[]) is 'The agent sessions of statements. Private.';
