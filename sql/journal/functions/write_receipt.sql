-- The receipt of a completed step: what it did, in the commit that does it.
create function journal.write_receipt(step journal.step, result jsonb) returns journal.receipt
language plpgsql volatile
as $write_receipt$
declare
    written journal.receipt;
begin
    written.receipt_id := outbox.uuid7();
    written.document := jsonb_build_object(
        'schema', 'journal.receipt/1', 'receipt_id', written.receipt_id, 'session_id', step.session_id, 'step_id', step.step_id,
        'tool', step.tool, 'kind', step.kind, 'tenant', step.tenant, 'key', step.key, 'attempt', step.attempt,
        'arguments', step.arguments, 'arguments_digest', step.arguments_digest, 'result', write_receipt.result,
        'changes', journal.step_changes(step.step_id), 'message_ids', journal.step_messages(step.step_id),
        'transaction_id', step.transaction_id::text, 'cluster', step.cluster::text, 'db_user', step.db_user,
        'started_at', journal.utc(step.started_at), 'committed_at', journal.utc(clock_timestamp()));
    insert into journal.receipt (receipt_id, step_id, document, digest)
    values (written.receipt_id, step.step_id, written.document,
            'sha256:' || encode(sha256(convert_to(written.document::text, 'UTF8')), 'hex'))
        on conflict (step_id) do nothing
    returning * into written;
    if not found then
        raise exception using errcode = 'JR013', message = 'the step was completed already';
    end if;
    return written;
end
$write_receipt$;

comment on function journal.write_receipt(journal.step, jsonb) is 'Writes the receipt of a step. Private: call journal.complete_step.';
