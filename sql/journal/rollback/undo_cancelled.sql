-- Sessions and steps that are taken back entirely, and the rollbacks that took them back, as far as that was done after a
-- statement. Both together left nothing, so they are nobody's later work.
create function journal.undo_cancelled(since bigint)
returns table (session_id uuid, step_id uuid)
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with cancelled as (
        select r.session_id, r.step_id, r.rollback_id
          from journal.reversal r
         where not r.partly
           and r.reversed_at >= (select s.executed_at from journal.statement s where s.statement_id = undo_cancelled.since)
           and journal.is_settled(r)
    )
    select c.session_id, c.step_id from cancelled c
    union
    select c.rollback_id, null from cancelled c;
end;

comment on function journal.undo_cancelled(bigint) is 'Sessions and steps that were taken back, and their rollbacks. Private.';
