-- Completes a step of the running transaction: result and receipt become part of its commit. What was bound before is bound again.
create function journal.complete_step(step_id uuid, result jsonb default null) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $complete_step$
declare
    receipt constant jsonb := journal.end_step(step_id, result, false);
begin
    if receipt is not null then
        return receipt #>> '{document, receipt_id}';
    end if;
    return (select r.receipt_id from journal.step s join journal.receipt r on r.step_id = s.replay_of where s.step_id = complete_step.step_id);
end
$complete_step$;

comment on function journal.complete_step(uuid, jsonb) is
    'Completes a step of the running transaction and returns the id of its receipt; of a replayed step, the receipt of the first time. Raises ConnectionUseError where another transaction began the step.';
