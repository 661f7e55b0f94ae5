-- How many keys and receipts sessions, or some of their steps, have in effect: what a rollback of them reverses, but for steps that it leaves whole.
create function journal.steps_in_effect(session_ids uuid[], step_ids uuid[], left_steps uuid[], out keys bigint, out receipts bigint)
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select pg_catalog.count(*) filter (where s.holds_key), pg_catalog.count(*)
      from journal.step s
      join journal.receipt r on r.step_id = s.step_id
     where s.session_id = any (steps_in_effect.session_ids)
       and (steps_in_effect.step_ids is null or s.step_id = any (steps_in_effect.step_ids))
       and s.step_id <> all (steps_in_effect.left_steps)
       and journal.effective_rollback(s.session_id, s.step_id) is null;
end;

comment on function journal.steps_in_effect(uuid[], uuid[], uuid[]) is 'How many keys and receipts sessions, or some of their steps, have in effect. Private.';
