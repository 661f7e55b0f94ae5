-- What a retry is told about the try that holds its key: nothing where it is to be replayed, else an error.
create function journal.outcome_of_key(holder journal.step, try journal.step) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $outcome_of_key$
declare
    names constant jsonb := jsonb_build_object('tool', try.tool, 'key', try.key);
    completed constant boolean := exists (select from journal.receipt r where r.step_id = holder.step_id);
    rollback_id uuid;
begin
    if journal.arguments_differ(holder, try) then
        raise exception using
            errcode = 'JR015', message = 'this key was used with other arguments',
            hint = 'a key stands for one effect: use another key for another effect',
            detail = names || jsonb_build_object('differences', journal.differing_arguments(holder.arguments, try.arguments));
    elsif holder.status = 'failed' then
        raise exception using
            errcode = 'JR018', message = 'the step of this key failed, and said so',
            hint = format('attempt %s runs it anew', holder.attempt + 1),
            detail = names || jsonb_build_object('result', holder.result);
    elsif not completed and holder.transaction_id = pg_current_xact_id_if_assigned() then
        perform journal.raise_in_progress(try);
    elsif not completed then
        raise exception using
            errcode = 'JR013', message = 'the outcome of this key is unknown: its step was committed before it was completed',
            hint = format('see what step %s changed: journal.changes', holder.step_id), detail = names;
    end if;
    rollback_id := journal.effective_rollback(holder.session_id, holder.step_id);
    if rollback_id is not null then
        raise exception using
            errcode = 'JR017', message = 'the step of this key was rolled back',
            hint = format('attempt %s runs it anew', journal.next_attempt(holder)),
            detail = names || jsonb_build_object('rollback_id', rollback_id, 'next_attempt', journal.next_attempt(holder));
    end if;
end
$outcome_of_key$;

comment on function journal.outcome_of_key(journal.step, journal.step) is
    'Raises ArgumentsDiffer, StepFailed, StepReversed or StepInProgress where a key is held by a step that cannot be replayed. Private.';
