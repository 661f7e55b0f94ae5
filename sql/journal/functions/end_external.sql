-- Completes the external effect that this transaction holds: receipt and outcome are part of the commit that has its rows.
create function journal.end_external(step_id uuid, result jsonb) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $end_external$
declare
    step journal.step;
begin
    select s.* into step from journal.step s where s.step_id = end_external.step_id;
    if step.db_user <> session_user then
        raise exception using
            errcode = 'JR012', message = 'the step belongs to another database user', hint = 'whoever began a step completes it';
    end if;
    update journal.external e
       set status = 'completed', transaction_id = pg_current_xact_id(), settled_at = clock_timestamp(), settled_by = session_user
     where e.step_id = end_external.step_id and e.status in ('intended', 'unknown');
    if not found then
        raise exception using
            errcode = 'JR013', message = 'the step was completed already', hint = 'call again with its key to get its result';
    end if;
    step.transaction_id := pg_current_xact_id();
    return journal.write_receipt(step, result);
end
$end_external$;

comment on function journal.end_external(uuid, jsonb) is 'Completes an external effect in the running transaction. Private.';
