-- A step is completed by the transaction that began it; anything else means that the body committed or rolled back by itself.
create function journal.step_in_progress(step_id uuid) returns journal.step
language plpgsql stable
as $step_in_progress$
declare
    step  journal.step;
    place constant tid := journal.place_of_step(step_id);
begin
    if place is null then
        select s.* into step from journal.step s where s.step_id = step_in_progress.step_id;
    else
        select s.* into step from journal.step s where s.ctid = place and s.step_id = step_in_progress.step_id;
    end if;
    if step.step_id is null or step.transaction_id is distinct from pg_current_xact_id_if_assigned()
       or step.cluster <> journal.cluster_id() then
        raise exception using
            errcode = 'JR002', message = 'the step was not begun in this transaction',
            hint = 'the transaction of a step is committed or rolled back by whoever began it, after the step is completed';
    elsif step.db_user <> session_user then
        raise exception using
            errcode = 'JR012', message = 'the step belongs to another database user', hint = 'whoever began a step completes it';
    end if;
    return step;
end
$step_in_progress$;

comment on function journal.step_in_progress(uuid) is 'The step, if this transaction began it. Private.';
