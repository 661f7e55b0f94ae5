-- What a retry finds under its key: the completed step that it replays, with its receipt; or how the step of the key failed for
-- good, which is told and not raised, because the server's log keeps the detail of an error and a result is the user's. Null where
-- the key has expired and is free now, or was freed meanwhile. Everything else is an error that says how the step of this key ended.
create function journal.step_to_replay(tenant text, tool text, key text, attempt integer, arguments jsonb) returns jsonb
language plpgsql volatile
as $step_to_replay$
declare
    there       record;
    holder      journal.step;
    rollback_id uuid;
    names       jsonb;
begin
    select s as step, e.status as effect, e.result as effect_result, r.document, r.digest,
           exists (select from journal.reversal v where v.session_id = s.session_id) as was_rolled_back
      into there
      from journal.step s
      left join journal.external e on e.step_id = s.step_id and s.status = 'intended'
      left join journal.receipt r on r.step_id = s.step_id
     where s.tenant = step_to_replay.tenant and s.tool = step_to_replay.tool and s.key = step_to_replay.key
       and s.attempt = step_to_replay.attempt and s.holds_key;
    if not found then
        return null;
    end if;
    holder := there.step;
    if holder.key_expires_at <= clock_timestamp() and journal.free_expired_key(holder) then
        return null;
    elsif journal.arguments_differ(holder, step_to_replay.arguments) then
        perform journal.raise_arguments_differ(holder, step_to_replay.arguments);
    end if;
    names := jsonb_build_object('tool', tool, 'key', key);
    if there.effect in ('intended', 'unknown') then
        raise exception using
            errcode = 'JR022', message = 'nobody knows yet whether the external effect of this key took place',
            hint = format('call session.external with a probe, or: journal external resolve %s completed|failed', holder.step_id), detail = names;
    elsif 'failed' in (holder.status, there.effect) then
        return jsonb_build_object('failure', coalesce(there.effect_result, holder.result), 'next_attempt', holder.attempt + 1);
    elsif there.digest is null then
        if holder.transaction_id = pg_current_xact_id() and holder.cluster = journal.cluster_id() then
            perform journal.raise_in_progress(tool, key);
        end if;
        raise exception using
            errcode = 'JR013', message = 'the outcome of this key is unknown: its step was committed before it was completed',
            hint = format('see what step %s changed: journal.changes', holder.step_id), detail = names;
    end if;
    if there.was_rolled_back then
        rollback_id := journal.effective_rollback(holder.session_id, holder.step_id);
    end if;
    if rollback_id is not null then
        raise exception using
            errcode = 'JR017', message = 'the step of this key was rolled back',
            hint = format('attempt %s runs it anew', journal.next_attempt(holder)),
            detail = names || jsonb_build_object('rollback_id', rollback_id, 'next_attempt', journal.next_attempt(holder));
    end if;
    return jsonb_build_object('replay_of', holder.step_id, 'receipt',
                              jsonb_build_object('document', there.document, 'digest', there.digest, 'status', 'committed'));
end
$step_to_replay$;

comment on function journal.step_to_replay(text, text, text, integer, jsonb) is
    'What a key stands for: {replay_of, receipt} of the completed step, or {failure, next_attempt} of one that failed for good. Raises ArgumentsDiffer, StepReversed, StepInProgress or OutcomeUnknown where it cannot be replayed. Private.';
