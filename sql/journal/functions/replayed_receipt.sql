-- Volatile: called in the statement that waited for the step, it sees what that one committed.
-- The receipt that a replay in this transaction brings back, as it was committed: whether its messages were delivered since then is
-- asked by journal.receipt_json, and costs more than the replay.
create function journal.replayed_receipt(step_id uuid) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $replayed_receipt$
declare
    replay constant journal.step := journal.step_in_progress(step_id);
begin
    return (select jsonb_build_object('document', r.document, 'digest', r.digest, 'status', 'committed')
              from journal.receipt r where r.step_id = replay.replay_of);
end
$replayed_receipt$;

comment on function journal.replayed_receipt(uuid) is 'The receipt of a replayed step of this transaction, as JSON: document, digest, status as committed. Private.';
