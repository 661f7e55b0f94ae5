-- Takes the row of an external effect for this transaction, and says what there is to do: 'run' it, because the intent is the
-- caller's own, which he takes once and nobody else runs; 'ask' the provider, because somebody was at it and his outcome is open; or
-- 'done'. The lock tells the living from the dead: it is held from before the effect is made until its outcome is committed. Between
-- the commit of an intent and its lock nothing tells them apart: an intent of another is left half a second to be taken.
create function journal.take_external(step_id uuid, runner uuid, wait interval, out turn text, out provider_key text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $take_external$
declare
    step     journal.step;
    taken    journal.external;
    home     journal.session;
    bound    boolean;
    patience text := current_setting('lock_timeout');
    deadline constant timestamptz := clock_timestamp() + take_external.wait;
begin
    select s.* into step from journal.step s where s.step_id = take_external.step_id;
    if step.db_user is distinct from session_user::text
       and not exists (select from journal.external e where e.step_id = take_external.step_id and e.status in ('completed', 'failed')) then
        raise exception using
            errcode = 'JR012', message = 'the step belongs to another database user',
            hint = 'call as that user, or say what happened: journal external resolve STEP completed|failed';
    end if;
    while exists (select from journal.external e where e.step_id = take_external.step_id and e.status = 'intended' and e.runner <> take_external.runner)
          and clock_timestamp() < step.started_at + interval '0.5 s' loop
        if clock_timestamp() >= deadline then
            perform journal.raise_in_progress(step.tool, step.key);
        end if;
        perform pg_sleep(0.01);
    end loop;
    begin
        perform set_config('lock_timeout', journal.lock_timeout_of(deadline - clock_timestamp()), true);
        select e.* into taken from journal.external e where e.step_id = take_external.step_id for update;
    exception
        when lock_not_available then
            perform journal.raise_in_progress(step.tool, step.key);
    end;
    patience := set_config('lock_timeout', patience, true);
    provider_key := taken.provider_key;
    turn := case when taken.status in ('completed', 'failed') then 'done'
                 when taken.runner = take_external.runner then 'run' else 'ask' end;
    if turn = 'run' then
        home := journal.enter_session_of_step(step.session_id, step.tool, step.key, deadline - clock_timestamp());
        bound := journal.set_binding(step.session_id, step.step_id);
    end if;
end
$take_external$;

comment on function journal.take_external(uuid, uuid, interval) is
    'Locks an external effect and says whose turn it is: run, ask or done. Raises StepInProgress where somebody is at it for longer than wait, NotSessionOwner where it is another user''s and open. Private.';
