-- Begins a step in the open transaction and binds it. A key that was completed before is replayed: the answer brings its receipt, as
-- it was committed, and the caller runs nothing. The row of the try is the reservation of its key: a concurrent holder is waited
-- for through the unique index.
-- One statement enters the session, as journal.enter_session does, and writes the row: most of what a step costs is preparing
-- statements and expressions, which is done anew in every transaction.
-- The wait bounds also the lock on the session, which a rollback may hold.
-- own: the caller opened the transaction for this step alone. A replay then writes nothing but the note that somebody asked again:
-- the rest of it is read-only, and its commit waits for no disk.
create function journal.enter_step(
    session_id      uuid,
    tool            text,
    key             text,
    arguments       jsonb,
    attempt         integer,
    wait            interval,
    details         jsonb,
    kind            text,
    store_arguments boolean,
    own             boolean
) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $enter_step$
#variable_conflict use_column
declare
    -- Functions are called by assignments, not performed: plpgsql evaluates a simple expression several times faster.
    done          boolean := journal.check_step(tool, key, attempt, kind);
    home          journal.session;
    outer_session uuid;
    outer_step    uuid;
    step_id       constant uuid := outbox.uuid7();
    there         jsonb;
    place         tid;
    patience      text := current_setting('lock_timeout');
begin
    if attempt > 1 and key is not null then
        home := journal.enter_session_of_step(session_id, tool, key, wait);
        done := journal.check_attempt(home.tenant, tool, key, attempt);
    end if;
    if current_setting('journal.binding', true) <> '' then
        select b.session_id, b.step_id into outer_session, outer_step from journal.bound_session() b;
    end if;
    while place is null loop
        begin
            done := set_config('lock_timeout', journal.lock_timeout_of(enter_step.wait), true) is not null;
            with home as (
                select s.tenant, s.db_role from journal.session s
                 where s.session_id = enter_step.session_id and s.status = 'open' and s.db_user = session_user
                   and not exists (select from journal.stop p where p.session_id = s.session_id and p.lifted_at is null)
                   and not exists (select from journal.stop p where p.agent = s.agent and p.lifted_at is null)
                   for share of s)
            insert into journal.step
                   (step_id, session_id, tool, kind, tenant, key, attempt, status, holds_key, replay_of, arguments, arguments_digest, details,
                    transaction_id, cluster, started_at, key_expires_at, outer_session_id, outer_step_id, db_user, db_role)
            select step_id, enter_step.session_id, enter_step.tool, enter_step.kind, home.tenant, enter_step.key, enter_step.attempt,
                   case when there is null then 'begun' else 'replayed' end, enter_step.key is not null and there is null,
                   (there ->> 'replay_of')::uuid, case when enter_step.store_arguments then enter_step.arguments end,
                   case when not enter_step.store_arguments then journal.arguments_digest(enter_step.arguments) end,
                   enter_step.details, pg_current_xact_id(), journal.cluster_id(), clock_timestamp(),
                   case when enter_step.key is not null and there is null then clock_timestamp() + journal.key_retention() end,
                   outer_session, outer_step, session_user, home.db_role
              from home
                on conflict (tenant, tool, key, attempt) where holds_key do nothing
            returning ctid into place;
        exception
            when lock_not_available then
                done := journal.session_is_held(session_id) and journal.raise_held(tool, key) is null;
                done := journal.raise_in_progress(tool, key) is null;
        end;
        patience := set_config('lock_timeout', patience, true);
        if place is null then
            home := journal.enter_session(session_id);
            there := journal.step_to_replay(home.tenant, tool, key, attempt, arguments);
            if there ? 'failure' then
                return there;
            end if;
        end if;
    end loop;
    done := journal.set_binding(session_id, step_id) and journal.remember_step(step_id, place);
    if own and there is not null then
        done := set_config('synchronous_commit', 'off', true) <> set_config('transaction_read_only', 'on', true);
    end if;
    return jsonb_build_object('step_id', step_id, 'replayed', there is not null, 'receipt', there -> 'receipt');
end
$enter_step$;

comment on function journal.enter_step(uuid, text, text, jsonb, integer, interval, jsonb, text, boolean, boolean) is
    'As journal.begin_step, for clients of ours: {step_id, replayed, receipt}, the receipt of a replay as it was committed; or, where the step of the key failed for good, {failure, next_attempt}. own: the transaction is the step''s own, a replay makes the rest of it read-only.';
