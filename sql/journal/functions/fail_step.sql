-- Records a try that failed, after its transaction (or savepoint) was rolled back. With a result the failure is final: it is kept
-- under the key, unless another caller has taken the key meanwhile.
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
declare
    home journal.session;
    try  journal.step;
begin
    perform journal.check_step(fail_step.tool, fail_step.key, fail_step.attempt, fail_step.kind);
    select s.* into home from journal.session s where s.session_id = fail_step.session_id and s.db_user = session_user;
    if not found then
        perform journal.raise_unknown_session(fail_step.session_id);
    end if;
    try := journal.new_step(home, fail_step.tool, fail_step.key, fail_step.arguments, fail_step.attempt, fail_step.details,
                            fail_step.kind, fail_step.store_arguments);
    try.step_id := coalesce(fail_step.step_id, try.step_id);
    try.status := 'failed';
    try.started_at := coalesce(fail_step.started_at, try.started_at);
    try.ended_at := clock_timestamp();
    try.result := fail_step.result;
    try.error := fail_step.error;
    if fail_step.final and try.holds_key and (journal.reserve_key(try, interval '1 s')).step_id is null then
        return true;
    end if;
    try.holds_key := false;
    try.key_expires_at := null;
    perform journal.insert_step(try);
    return false;
end
$fail_step$;

comment on function journal.fail_step(uuid, uuid, text, text, jsonb, integer, jsonb, jsonb, boolean, timestamptz, jsonb, text, boolean) is
    'Records a failed try of a step, after it was rolled back. final: a retry of the key is told the result (StepFailed). Returns whether the failure holds the key.';
