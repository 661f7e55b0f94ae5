-- Completes a step and says what its receipt says; of a replay, nothing. `last`: the commit follows at once, so the transaction
-- stays bound, and what deferred triggers still change belongs to the step.
create function journal.end_step(step_id uuid, result jsonb, last boolean) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $end_step$
declare
    step    constant journal.step := journal.step_in_progress(step_id);
    receipt constant jsonb := case when step.replay_of is null then journal.write_receipt(step, result) end;
    done    boolean;
begin
    if step.outer_session_id is not null or not last then
        done := journal.set_binding(step.outer_session_id, step.outer_step_id) and journal.forget_step(step_id);
    end if;
    return receipt;
end
$end_step$;

comment on function journal.end_step(uuid, jsonb, boolean) is
    'As journal.complete_step; returns document and digest of the receipt, null for a replay. last: the caller commits next, and the transaction may stay bound.';
