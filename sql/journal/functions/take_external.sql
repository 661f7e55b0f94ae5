-- Takes the row of an external effect for this transaction, and says what there is to do: 'run' it, because the caller's own
-- intent stands and nobody was at it; 'ask' the provider, because somebody was and his outcome is open; or 'done'.
-- The lock tells the living from the dead: it is held from before the effect is made until its outcome is committed.
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
begin
    select s.* into step from journal.step s where s.step_id = take_external.step_id;
    if step.db_user is distinct from session_user::text
       and not exists (select from journal.external e where e.step_id = take_external.step_id and e.status in ('completed', 'failed')) then
        raise exception using
            errcode = 'JR012', message = 'the step belongs to another database user',
            hint = 'call as that user, or say what happened: journal external resolve STEP completed|failed';
    end if;
    begin
        perform set_config('lock_timeout', journal.lock_timeout_of(take_external.wait), true);
        select e.* into taken from journal.external e where e.step_id = take_external.step_id for update;
    exception
        when lock_not_available then
            perform journal.raise_in_progress(step.tool, step.key);
    end;
    patience := set_config('lock_timeout', patience, true);
    provider_key := taken.provider_key;
    turn := case when taken.status in ('completed', 'failed') then 'done'
                 when taken.status = 'intended' and taken.runner = take_external.runner then 'run' else 'ask' end;
    if turn = 'run' then
        home := journal.enter_session_of_step(step.session_id, step.tool, step.key, wait);
        bound := journal.set_binding(step.session_id, step.step_id);
    end if;
end
$take_external$;

comment on function journal.take_external(uuid, uuid, interval) is
    'Locks an external effect and says whose turn it is: run, ask or done. Raises StepInProgress where somebody is at it for longer than wait, NotSessionOwner where it is another user''s and open. Private.';
