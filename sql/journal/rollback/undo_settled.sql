-- The rollbacks by which sessions and steps are taken back now, but for those that are to be taken back with them: then all of it is
-- undone at once. Where an earlier rollback of the same was itself rolled back after a later one, that later one found nothing to do there: it
-- settled nothing, except in other steps (but_for).
create function journal.undo_settled(session_ids uuid[])
returns table (session_id uuid, step_id uuid, rollback_id uuid, partly boolean, but_for uuid[])
language sql stable
begin atomic
    with reversal as materialized (
        select r.*, journal.effective_rollback(r.rollback_id) as undone_by
          from journal.reversal r
         where r.session_id = any (undo_settled.session_ids)
    ), redone as (
        select r.session_id, r.step_id, r.reversal_id, pg_catalog.max(q.reversal_id) as until
          from reversal r join journal.reversal q on q.session_id = r.rollback_id and q.rollback_id = r.undone_by
         group by r.session_id, r.step_id, r.reversal_id
    )
    select r.session_id, r.step_id, r.rollback_id, r.partly, array_remove(e.steps, null)
      from reversal r
     cross join lateral (
           select coalesce(pg_catalog.array_agg(e.step_id), '{}') as steps, coalesce(pg_catalog.bool_or(e.step_id is null or e.step_id = r.step_id), false) as wholly
             from redone e where e.session_id = r.session_id and e.reversal_id < r.reversal_id and e.until > r.reversal_id) e
     where r.undone_by is null and r.rollback_id <> all (undo_settled.session_ids) and not e.wholly;
end;

comment on function journal.undo_settled(uuid[]) is 'The rollbacks by which sessions and steps are taken back now. Private.';
