-- Who wrote a statement, as a conflict shows it.
create function journal.undo_their(statement_id bigint) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select pg_catalog.jsonb_build_object(
               'session_id', b.session_id, 'agent', s.agent, 'db_user', l.db_user, 'application_name', nullif(l.application_name, ''), 'at', journal.utc(l.executed_at))
      from journal.statement l
      left join lateral (select b.session_id from journal.binding b
                          where b.transaction_id = l.transaction_id and b.cluster = l.cluster and b.statement_id < l.statement_id
                          order by b.statement_id desc limit 1) b on true
      left join journal.session s on s.session_id = b.session_id
     where l.statement_id = undo_their.statement_id;
end;

comment on function journal.undo_their(bigint) is 'Who wrote a statement: session, agent, user, application, time. Private.';
