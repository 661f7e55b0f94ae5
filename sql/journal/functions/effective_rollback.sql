-- The rollback that took back a session, or one step of it: null where there is none, or where each was itself rolled back.
create function journal.effective_rollback(session_id uuid, step_id uuid default null) returns uuid
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $effective_rollback$
declare
    candidate uuid;
begin
    for candidate in
        select r.rollback_id from journal.reversal r
         where r.session_id = effective_rollback.session_id and (r.step_id is null or r.step_id = effective_rollback.step_id)
           and not exists (select from journal.left_step l
                            where l.rollback_id = r.rollback_id and l.step_id = coalesce(effective_rollback.step_id, effective_rollback.session_id))
         order by r.reversal_id desc
    loop
        if journal.effective_rollback(candidate) is null then
            return candidate;
        end if;
    end loop;
    return null;
end
$effective_rollback$;

comment on function journal.effective_rollback(uuid, uuid) is
    'The rollback that a session or step is taken back by, null where it is in effect. A rollback that was rolled back does not count, nor one that left the step as it is.';
