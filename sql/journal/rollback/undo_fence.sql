-- The fence: takes the session rows, so that no step of theirs is in flight and none can begin. With final, the locks are
-- raised so that the sealer passes the sessions' messages by; by then others may wait for the rollback, and it does not wait
-- for them (undo_lock_first). Sessions that could still bind are refused: their rollback
-- would wait behind ever new steps.
create function journal.undo_fence(session_ids uuid[], whole boolean, final boolean, deadline timestamptz) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $undo_fence$
declare
    open_session uuid;
begin
    select s.session_id into open_session from journal.sessions s
     where s.session_id = any (session_ids) and s.status in ('open', 'abandoned') limit 1;
    if whole and open_session is not null then
        raise exception using
            errcode = 'JR037', message = format('session %s is open', open_session),
            hint = 'stop it first, in a transaction of its own: journal.stop_session, or journal stop --session', detail = '{"blockers": []}';
    end if;
    loop
        begin
            perform set_config('lock_timeout', case when final then '1ms' else journal.undo_patience(clock_timestamp(), deadline) end, true);
            if final then
                perform from journal.session s where s.session_id = any (session_ids) order by s.session_id for update;
            else
                perform from journal.session s where s.session_id = any (session_ids) order by s.session_id for no key update;
            end if;
            return;
        exception when lock_not_available or deadlock_detected then
            perform journal.undo_busy(deadline, array['journal.session'::regclass::oid]);
        end;
    end loop;
end
$undo_fence$;

comment on function journal.undo_fence(uuid[], boolean, boolean, timestamptz) is
    'Waits until no step of the sessions is in flight and keeps it so; raises RollbackBusy. Private.';
