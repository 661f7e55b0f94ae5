-- The receipt of a completed step: what it did, in the commit that does it.
create function journal.write_receipt(step journal.step, result jsonb) returns jsonb
language plpgsql volatile
as $write_receipt$
declare
    noted    constant jsonb := case when current_setting('journal.notes', true) <> '' then journal.notes() -> step.step_id::text end;
    id       constant uuid := outbox.uuid7();
    document constant jsonb := jsonb_build_object(
        'schema', 'journal.receipt/1', 'receipt_id', id, 'session_id', step.session_id, 'step_id', step.step_id,
        'tool', step.tool, 'kind', step.kind, 'tenant', step.tenant, 'key', step.key, 'attempt', step.attempt,
        'arguments', step.arguments, 'arguments_digest', step.arguments_digest, 'result', result,
        'changes', journal.step_changes(step.step_id, noted), 'message_ids', journal.step_messages(step.step_id, noted),
        'transaction_id', step.transaction_id::text, 'cluster', step.cluster::text, 'db_user', step.db_user,
        'started_at', journal.utc(step.started_at), 'committed_at', journal.utc(clock_timestamp()));
    digest   constant text := 'sha256:' || encode(sha256(convert_to(document::text, 'UTF8')), 'hex');
begin
    insert into journal.receipt (receipt_id, step_id, document, digest) values (id, step.step_id, document, digest)
        on conflict (step_id) do nothing;
    if not found then
        raise exception using
            errcode = 'JR013', message = 'the step was completed already', hint = 'complete each step once; call again with its key to get its result';
    end if;
    return jsonb_build_object('document', document, 'digest', digest);
end
$write_receipt$;

comment on function journal.write_receipt(journal.step, jsonb) is 'Writes the receipt of a step: its document and digest. Private: call journal.complete_step.';
