-- Records that an external effect is about to be made, to be committed before it is. Under a key that is taken, the step that
-- holds it: external where its outcome is open, and not external where a step of the key says how it ended.
create function journal.intend_step(
    session_id      uuid,
    tool            text,
    key             text,
    runner          uuid,
    arguments       jsonb default null,
    attempt         integer default 1,
    wait            interval default '10 s',
    details         jsonb default null,
    kind            text default null,
    store_arguments boolean default true,
    out step_id     uuid,
    out external    boolean
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $intend_step$
#variable_conflict use_column
declare
    checked  boolean := journal.check_step(tool, key, attempt, kind);
    home     constant journal.session := journal.enter_session_of_step(session_id, tool, key, wait);
    holder   journal.step;
    patience text := current_setting('lock_timeout');
begin
    if intend_step.key is null then
        raise exception using
            errcode = 'JR014', message = 'an external effect needs a key: without one nobody can tell a retry from another effect',
            hint = 'name what the effect is about, such as order-42', detail = jsonb_build_object('tool', tool);
    elsif kind = 'read' then
        raise exception using
            errcode = 'JR042', message = 'an external effect is made, and a tool of kind read makes none',
            hint = 'give it the kind that says what it does, or look things up in session.step';
    elsif attempt > 1 then
        checked := journal.check_attempt(home.tenant, tool, key, attempt);
    end if;
    loop
        begin
            perform set_config('lock_timeout', journal.lock_timeout_of(intend_step.wait), true);
            insert into journal.step
                   (step_id, session_id, tool, kind, tenant, key, attempt, status, holds_key, arguments, arguments_digest, details,
                    transaction_id, cluster, started_at, key_expires_at, db_user, db_role)
            values (outbox.uuid7(), intend_step.session_id, intend_step.tool, intend_step.kind, home.tenant, intend_step.key, intend_step.attempt,
                    'intended', true, case when intend_step.store_arguments then intend_step.arguments end,
                    case when not intend_step.store_arguments then journal.arguments_digest(intend_step.arguments) end, intend_step.details,
                    pg_current_xact_id(), journal.cluster_id(), clock_timestamp(), clock_timestamp() + journal.key_retention(), session_user,
                    home.db_role)
                on conflict (tenant, tool, key, attempt) where holds_key do nothing
            returning step_id into intend_step.step_id;
        exception
            when lock_not_available then
                perform journal.raise_in_progress(intend_step.tool, intend_step.key);
        end;
        patience := set_config('lock_timeout', patience, true);
        if intend_step.step_id is not null then
            insert into journal.external (step_id, provider_key, runner)
            values (intend_step.step_id, journal.provider_key(home.tenant, tool, key, attempt), intend_step.runner);
            external := true;
            return;
        end if;
        select s.* into holder from journal.step s
         where s.tenant = home.tenant and s.tool = intend_step.tool and s.key = intend_step.key and s.attempt = intend_step.attempt and s.holds_key;
        if found and holder.key_expires_at <= clock_timestamp() and journal.free_expired_key(holder) then
            continue;
        elsif found then
            external := exists (select from journal.external e where e.step_id = holder.step_id and e.status in ('intended', 'unknown'));
            if external and journal.arguments_differ(holder, intend_step.arguments) then
                perform journal.raise_arguments_differ(holder, intend_step.arguments);
            end if;
            intend_step.step_id := holder.step_id;
            return;
        end if;
    end loop;
end
$intend_step$;

comment on function journal.intend_step(uuid, text, text, uuid, jsonb, integer, interval, jsonb, text, boolean) is
    'Records the intent of an external effect; commit it before the effect is made. external: the outcome of the key is open, journal.take_external says whose turn it is; else journal.begin_step says how it ended. Private.';
