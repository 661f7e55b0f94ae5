-- What a rollback took back: whole sessions, or single steps of them, but for steps that it left whole. Rolling back the rollback makes them valid again.
create function journal.reverse_steps(session_ids uuid[], step_ids uuid[], rollback_id uuid, partly boolean, left_steps uuid[])
returns table (keys bigint, receipts bigint)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $reverse_steps$
begin
    select e.keys, e.receipts into keys, receipts from journal.steps_in_effect(reverse_steps.session_ids, reverse_steps.step_ids, reverse_steps.left_steps) e;
    insert into journal.left_step (rollback_id, step_id) select reverse_steps.rollback_id, l from unnest(reverse_steps.left_steps) l;
    insert into journal.reversal (session_id, step_id, rollback_id, partly)
    select t.session_id, t.step_id, reverse_steps.rollback_id, reverse_steps.partly
      from (
           select named.session_id, null::uuid from unnest(reverse_steps.session_ids) as named (session_id) where reverse_steps.step_ids is null
           union all
           select s.session_id, s.step_id from journal.step s where s.step_id = any (reverse_steps.step_ids)
           ) as t (session_id, step_id);
    return next;
end
$reverse_steps$;

comment on function journal.reverse_steps(uuid[], uuid[], uuid, boolean, uuid[]) is
    'Marks sessions, or with step_ids single steps, as taken back by a rollback. Returns how many keys and receipts were in effect before. Private.';
