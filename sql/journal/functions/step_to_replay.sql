-- What a retry finds under its key: the completed step that it replays. Null where the key has expired and is free now, or was
-- freed meanwhile. Everything else is an error that says how the step of this key ended.
create function journal.step_to_replay(tenant text, tool text, key text, attempt integer, arguments jsonb) returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $step_to_replay$
declare
    holder      journal.step;
    rollback_id uuid;
    effect      journal.external;
    names       constant jsonb := jsonb_build_object('tool', tool, 'key', key);
begin
    select s.* into holder from journal.step s
     where s.tenant = step_to_replay.tenant and s.tool = step_to_replay.tool and s.key = step_to_replay.key
       and s.attempt = step_to_replay.attempt and s.holds_key;
    if holder.step_id is null then
        return null;
    end if;
    if holder.status = 'intended' then
        select e.* into effect from journal.external e where e.step_id = holder.step_id;
    end if;
    if holder.key_expires_at <= clock_timestamp() and coalesce(effect.status not in ('intended', 'unknown'), true) then
        update journal.step s set holds_key = false where s.step_id = holder.step_id;
        return null;
    elsif journal.arguments_differ(holder, step_to_replay.arguments) then
        perform journal.raise_arguments_differ(holder, step_to_replay.arguments);
    elsif effect.status in ('intended', 'unknown') then
        raise exception using
            errcode = 'JR022', message = 'nobody knows yet whether the external effect of this key took place',
            hint = format('call session.external with a probe, or: journal external resolve %s completed|failed', holder.step_id), detail = names;
    elsif 'failed' in (holder.status, effect.status) then
        raise exception using
            errcode = 'JR018', message = 'the step of this key failed, and said so', hint = format('attempt %s runs it anew', holder.attempt + 1),
            detail = names || jsonb_build_object('result', coalesce(effect.result, holder.result));
    elsif not exists (select from journal.receipt r where r.step_id = holder.step_id) then
        if holder.transaction_id = pg_current_xact_id() and holder.cluster = journal.cluster_id() then
            perform journal.raise_in_progress(tool, key);
        end if;
        raise exception using
            errcode = 'JR013', message = 'the outcome of this key is unknown: its step was committed before it was completed',
            hint = format('see what step %s changed: journal.changes', holder.step_id), detail = names;
    end if;
    rollback_id := journal.effective_rollback(holder.session_id, holder.step_id);
    if rollback_id is not null then
        raise exception using
            errcode = 'JR017', message = 'the step of this key was rolled back',
            hint = format('attempt %s runs it anew', journal.next_attempt(holder)),
            detail = names || jsonb_build_object('rollback_id', rollback_id, 'next_attempt', journal.next_attempt(holder));
    end if;
    return holder.step_id;
end
$step_to_replay$;

comment on function journal.step_to_replay(text, text, text, integer, jsonb) is
    'The completed step that a key stands for. Raises ArgumentsDiffer, StepFailed, StepReversed or StepInProgress where it cannot be replayed. Private.';
