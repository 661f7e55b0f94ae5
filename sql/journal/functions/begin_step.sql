-- Begins a step in the open transaction and binds it. A key that was completed before is replayed: its result is returned, and
-- the caller runs nothing. Complete the step in the same transaction, with journal.complete_step.
-- The row of the try is the reservation of its key: a concurrent holder is waited for through the unique index.
create function journal.begin_step(
    session_id      uuid,
    tool            text,
    key             text default null,
    arguments       jsonb default null,
    attempt         integer default 1,
    wait            interval default '10 s',
    details         jsonb default null,
    kind            text default null,
    store_arguments boolean default true,
    out step_id     uuid,
    out replayed    boolean,
    out result      jsonb,
    out receipt_id  uuid
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $begin_step$
#variable_conflict use_column
declare
    -- Functions are called by assignments, not performed: plpgsql evaluates a simple expression several times faster.
    checked   boolean := journal.check_step(tool, key, attempt, kind);
    home      constant journal.session := journal.enter_session(session_id);
    outer_session uuid;
    outer_step    uuid;
    replay    uuid;
    place     tid;
    patience  text := current_setting('lock_timeout');
begin
    if attempt > 1 and key is not null then
        checked := journal.check_attempt(home.tenant, tool, key, attempt);
    end if;
    if current_setting('journal.binding', true) <> '' then
        select b.session_id, b.step_id into outer_session, outer_step from journal.bound_session() b;
    end if;
    step_id := outbox.uuid7();
    while place is null loop
        begin
            perform set_config('lock_timeout', greatest(1, ceil(extract(epoch from begin_step.wait) * 1000))::text, true);
            insert into journal.step
                   (step_id, session_id, tool, kind, tenant, key, attempt, status, holds_key, replay_of, arguments, arguments_digest, details,
                    transaction_id, cluster, started_at, key_expires_at, outer_session_id, outer_step_id, db_user, db_role)
            values (begin_step.step_id, begin_step.session_id, begin_step.tool, begin_step.kind, home.tenant, begin_step.key, begin_step.attempt,
                    case when replay is null then 'begun' else 'replayed' end, begin_step.key is not null and replay is null, replay,
                    case when begin_step.store_arguments then begin_step.arguments end,
                    case when not begin_step.store_arguments then journal.arguments_digest(begin_step.arguments) end,
                    begin_step.details, pg_current_xact_id(), journal.cluster_id(), clock_timestamp(),
                    case when begin_step.key is not null and replay is null then clock_timestamp() + journal.key_retention() end,
                    outer_session, outer_step, session_user, home.db_role)
                on conflict (tenant, tool, key, attempt) where holds_key do nothing
            returning ctid into place;
        exception
            when lock_not_available then
                perform journal.raise_in_progress(begin_step.tool, begin_step.key);
        end;
        patience := set_config('lock_timeout', patience, true);
        if place is null then
            replay := journal.step_to_replay(home.tenant, begin_step.tool, begin_step.key, begin_step.attempt, begin_step.arguments);
        end if;
    end loop;
    replayed := replay is not null;
    if replayed then
        select r.document -> 'result', r.receipt_id into result, receipt_id from journal.receipt r where r.step_id = replay;
    end if;
    checked := journal.set_binding(begin_step.session_id, begin_step.step_id) and journal.remember_step(begin_step.step_id, place);
end
$begin_step$;

comment on function journal.begin_step(uuid, text, text, jsonb, integer, interval, jsonb, text, boolean) is
    'Begins a step in the open transaction: reserves the key (waits at most wait for a concurrent holder) and binds the transaction. replayed: the key was completed before; result and receipt_id are those of then, run nothing. Raises InvalidKey, ArgumentsDiffer, StepInProgress, StepReversed, StepFailed, UnknownKind and the errors of journal.bind.';
