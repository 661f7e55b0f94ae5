-- Whether what a step did was taken back, and is still taken back.
create function journal.is_reversed(step_id uuid) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $is_reversed$
begin
    return (select journal.effective_rollback(s.session_id, s.step_id) is not null from journal.step s where s.step_id = is_reversed.step_id);
end
$is_reversed$;

comment on function journal.is_reversed(uuid) is 'Whether a step is taken back by a rollback that is itself in effect; null where there is no such step.';
