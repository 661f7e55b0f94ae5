-- Records a try that failed, after its transaction (or savepoint) was rolled back. With final the failure is kept under the key,
-- unless another caller has the key by now.
create function journal.fail_step(
    step_id         uuid,
    session_id      uuid,
    tool            text,
    key             text default null,
    arguments       jsonb default null,
    attempt         integer default 1,
    error           jsonb default null,
    result          jsonb default null,
    final           boolean default false,
    started_at      timestamptz default null,
    details         jsonb default null,
    kind            text default null,
    store_arguments boolean default true
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $fail_step$
#variable_conflict use_column
declare
    home     journal.session;
    holds    boolean := coalesce(fail_step.final, false) and fail_step.key is not null;
    recorded boolean := false;
    patience constant text := current_setting('lock_timeout');
begin
    perform journal.check_step(fail_step.tool, fail_step.key, fail_step.attempt, fail_step.kind);
    select s.* into home from journal.session s where s.session_id = fail_step.session_id and s.db_user = session_user;
    if not found then
        perform journal.raise_unknown_session(fail_step.session_id);
    end if;
    while not recorded loop
        begin
            perform set_config('lock_timeout', '1s', true);
            insert into journal.step
                   (step_id, session_id, tool, kind, tenant, key, attempt, status, holds_key, arguments, arguments_digest, details, result, error,
                    transaction_id, cluster, started_at, ended_at, key_expires_at, db_user, db_role)
            values (coalesce(fail_step.step_id, outbox.uuid7()), fail_step.session_id, fail_step.tool, fail_step.kind, home.tenant, fail_step.key,
                    fail_step.attempt, 'failed', holds, case when fail_step.store_arguments then fail_step.arguments end,
                    case when not fail_step.store_arguments then journal.arguments_digest(fail_step.arguments) end,
                    fail_step.details, fail_step.result, fail_step.error, pg_current_xact_id(), journal.cluster_id(),
                    coalesce(fail_step.started_at, clock_timestamp()), clock_timestamp(),
                    case when holds then clock_timestamp() + journal.key_retention() end, session_user, home.db_role)
                on conflict (tenant, tool, key, attempt) where holds_key do nothing;
            recorded := found;
        exception
            when lock_not_available then null;
        end;
        holds := holds and recorded;
    end loop;
    perform set_config('lock_timeout', patience, true);
    return holds;
end
$fail_step$;

comment on function journal.fail_step(uuid, uuid, text, text, jsonb, integer, jsonb, jsonb, boolean, timestamptz, jsonb, text, boolean) is
    'Records a failed try of a step, after it was rolled back. final: a retry of the key is told the result (StepFailed). Returns whether the failure holds the key.';
