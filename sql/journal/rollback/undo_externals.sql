-- External effects cannot be taken back: each that was made, or may have been, is residue, but for those of steps that are left whole.
create function journal.undo_externals(session_ids uuid[], step_ids uuid[], left_steps uuid[]) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $undo_externals$
begin
    return (
        select coalesce(jsonb_agg(jsonb_build_object(
                   'kind', 'external', 'step_id', s.step_id, 'tool', s.tool, 'key', s.key, 'provider_key', e.provider_key,
                   'reason', case e.status when 'completed' then 'made outside the database' else 'may have been made outside the database' end)
                   order by s.started_at, s.step_id), '[]')
          from journal.step s
          join journal.external e on e.step_id = s.step_id
         where s.session_id = any (session_ids) and (step_ids is null or s.step_id = any (step_ids)) and s.step_id <> all (left_steps) and e.status <> 'failed');
end
$undo_externals$;

comment on function journal.undo_externals(uuid[], uuid[], uuid[]) is 'External effects of sessions, as residue. Private.';
