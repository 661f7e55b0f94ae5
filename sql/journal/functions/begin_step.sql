-- Begins a step in the open transaction and binds it. Complete the step in the same transaction, with journal.complete_step.
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
language plpgsql volatile
as $begin_step$
declare
    begun constant jsonb := journal.enter_step(session_id, tool, key, arguments, attempt, wait, details, kind, store_arguments, false);
begin
    if begun ? 'failure' then
        raise exception using
            errcode = 'JR018', message = 'the step of this key failed, and said so',
            hint = format('attempt %s runs it anew; journal.steps has the result', begun ->> 'next_attempt'),
            detail = jsonb_build_object('tool', tool, 'key', key);
    end if;
    step_id := begun ->> 'step_id';
    replayed := begun -> 'replayed';
    result := begun #> '{receipt, document, result}';
    receipt_id := begun #>> '{receipt, document, receipt_id}';
end
$begin_step$;

comment on function journal.begin_step(uuid, text, text, jsonb, integer, interval, jsonb, text, boolean) is
    'Begins a step in the open transaction: reserves the key (waits at most wait for a concurrent holder, or a rollback that holds the session) and binds the transaction. replayed: the key was completed before; result and receipt_id are those of then, run nothing. Raises InvalidKey, ArgumentsDiffer, StepInProgress, StepReversed, StepFailed, UnknownKind and the errors of journal.bind.';
