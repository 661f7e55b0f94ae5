-- Completes a step of the running transaction: result and receipt become part of its commit. What was bound before is bound again.
create function journal.complete_step(step_id uuid, result jsonb default null) returns uuid
language sql volatile
begin atomic
    select (journal.end_step(complete_step.step_id, complete_step.result, false)).receipt_id;
end;

comment on function journal.complete_step(uuid, jsonb) is
    'Completes a step of the running transaction and returns the id of its receipt; of a replayed step, the receipt of the first time. Raises ConnectionUseError where another transaction began the step.';
