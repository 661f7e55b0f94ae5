-- A person says what became of an external effect. Refused while a caller is at it.
create function journal.resolve_external(step_id uuid, outcome text, note text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $resolve_external$
declare
    step  journal.step;
    found_status text;
begin
    if coalesce(outcome, '') not in ('completed', 'failed') then
        raise exception using
            errcode = 'JR013', message = 'an external effect is resolved as completed or failed',
            hint = 'say what the provider says; leave it unknown where that is not known either';
    end if;
    select s.* into step from journal.step s where s.step_id = resolve_external.step_id;
    begin
        select e.status into found_status from journal.external e where e.step_id = resolve_external.step_id for update nowait;
    exception
        when lock_not_available then
            perform journal.raise_in_progress(step.tool, step.key);
    end;
    if found_status is null then
        raise exception using errcode = 'JR013', message = 'there is no such external effect', hint = 'journal external lists them';
    elsif found_status in ('completed', 'failed') then
        return false;
    end if;
    update journal.external e
       set status = outcome, settled_at = clock_timestamp(), settled_by = session_user, note = resolve_external.note,
           transaction_id = case outcome when 'completed' then pg_current_xact_id() end
     where e.step_id = resolve_external.step_id;
    if outcome = 'completed' then
        step.transaction_id := pg_current_xact_id();
        perform journal.write_receipt(step, null);
    end if;
    return true;
end
$resolve_external$;

comment on function journal.resolve_external(uuid, text, text) is
    'Says what became of an external effect whose outcome is unknown: completed (a receipt is written) or failed (a retry is told). note: how that is known. False where it was settled before. Raises StepError where there is none, StepInProgress while a caller is at it.';
