-- Steps that a rollback is to take back and that are none of its sessions: as text, null where all are known.
create function journal.undo_unknown_steps(session_ids uuid[], step_ids uuid[]) returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select pg_catalog.string_agg(k.step_id::text, ', ')
      from unnest(undo_unknown_steps.step_ids) as k (step_id)
     where not exists (select from journal.step s join journal.undo_members(undo_unknown_steps.session_ids, true) m on m.session_id = s.session_id
                        where s.step_id = k.step_id);
end;

comment on function journal.undo_unknown_steps(uuid[], uuid[]) is 'Steps that belong to none of the sessions, or null. Private.';
