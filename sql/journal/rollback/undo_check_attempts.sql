-- Rolling a rollback back puts steps into effect again. Not where a later attempt of the same key is in effect by now: what it
-- does would be done twice. Asked once everything is accounted for.
create function journal.undo_check_attempts(session_ids uuid[]) returns void
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $undo_check_attempts$
declare
    twice record;
begin
    with recursive below as (
        select r.session_ids from journal.rollback r where r.rollback_id = any (undo_check_attempts.session_ids)
        union
        select r.session_ids from below b join journal.rollback r on r.rollback_id = any (b.session_ids)
    )
    select s.tool, s.key, s.attempt, l.attempt as later, l.session_id, l.step_id into twice
      from below b
      join journal.step s on s.session_id = any (b.session_ids) and s.key is not null and s.holds_key
      join journal.step l on l.tenant = s.tenant and l.tool = s.tool and l.key = s.key and l.attempt > s.attempt and l.holds_key
     where exists (select from journal.receipt r where r.step_id = s.step_id) and exists (select from journal.receipt r where r.step_id = l.step_id)
       and journal.effective_rollback(s.session_id, s.step_id) is null and journal.effective_rollback(l.session_id, l.step_id) is null
     limit 1;
    if found then
        raise exception using
            errcode = 'JR035', message = format('attempt %s of a key of %s is in effect; attempt %s would be so too', twice.later, twice.tool, twice.attempt),
            detail = jsonb_build_object('tool', twice.tool, 'key', twice.key, 'session_id', twice.session_id, 'step_id', twice.step_id),
            hint = format('roll attempt %s back first: step %s', twice.later, twice.step_id);
    end if;
end
$undo_check_attempts$;

comment on function journal.undo_check_attempts(uuid[]) is 'Raises RollbackRefused where two attempts of a key would be in effect. Private.';
