-- Begins a step in the open transaction and binds it. A key that was completed before is replayed: its result is returned, and
-- the caller runs nothing. Complete the step in the same transaction, with journal.complete_step.
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
declare
    home   journal.session;
    try    journal.step;
    holder journal.step;
begin
    perform journal.check_step(begin_step.tool, begin_step.key, begin_step.attempt, begin_step.kind);
    home := journal.enter_session(begin_step.session_id);
    try := journal.new_step(home, begin_step.tool, begin_step.key, begin_step.arguments, begin_step.attempt,
                            begin_step.details, begin_step.kind, begin_step.store_arguments);
    replayed := false;
    step_id := try.step_id;
    if not try.holds_key then
        perform journal.insert_step(try);
    else
        perform journal.check_attempt(try);
        holder := journal.reserve_key(try, begin_step.wait);
        if holder.step_id is not null then
            perform journal.outcome_of_key(holder, try);
            try.status := 'replayed';
            try.holds_key := false;
            try.key_expires_at := null;
            try.replay_of := holder.step_id;
            try.ended_at := clock_timestamp();
            perform journal.insert_step(try);
            replayed := true;
            select r.document -> 'result', r.receipt_id into result, receipt_id from journal.receipt r where r.step_id = holder.step_id;
        end if;
    end if;
    perform journal.set_binding(begin_step.session_id, try.step_id);
end
$begin_step$;

comment on function journal.begin_step(uuid, text, text, jsonb, integer, interval, jsonb, text, boolean) is
    'Begins a step in the open transaction: reserves the key (waits at most wait for a concurrent holder) and binds the transaction. replayed: the key was completed before; result and receipt_id are those of then, run nothing. Raises InvalidKey, ArgumentsDiffer, StepInProgress, StepReversed, StepFailed, UnknownKind and the errors of journal.bind.';
