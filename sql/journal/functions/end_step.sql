-- Completes a step and says what its receipt says. `last`: the commit follows at once, so the transaction stays bound, and what
-- deferred triggers still change belongs to the step.
create function journal.end_step(step_id uuid, result jsonb, last boolean) returns journal.receipt
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $end_step$
declare
    step    constant journal.step := journal.step_in_progress(step_id);
    receipt journal.receipt;
    done    boolean;
begin
    if step.replay_of is null then
        receipt := journal.write_receipt(step, result);
    else
        select r.* into receipt from journal.receipt r where r.step_id = step.replay_of;
    end if;
    if step.outer_session_id is not null or not last then
        done := journal.set_binding(step.outer_session_id, step.outer_step_id) and journal.forget_step(step_id);
    end if;
    return receipt;
end
$end_step$;

comment on function journal.end_step(uuid, jsonb, boolean) is
    'As journal.complete_step; returns the receipt. last: the caller commits next, and the transaction may stay bound.';
