-- What must hold before a rollback looks at anything: known sessions, an isolation level that sees the sessions' last
-- commits, and sessions that can bind no more (they may still have a step in flight: the fence waits for that).
create function journal.undo_admit(session_ids uuid[], step_ids uuid[], on_conflict text, mode text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $undo_admit$
declare
    missing text;
begin
    if on_conflict not in ('refuse', 'skip', 'cascade', 'force') then
        raise exception using errcode = '22023', message = format('on_conflict is refuse, skip, cascade or force, not %L', on_conflict);
    elsif mode not in ('plan', 'dry_run', 'rehearse', 'apply') then
        raise exception using errcode = '22023', message = format('mode is plan, dry_run, rehearse or apply, not %L', mode);
    elsif current_setting('transaction_isolation') <> 'read committed' then
        raise exception using
            errcode = 'JR035', message = 'a rollback runs under READ COMMITTED only: an older snapshot would miss the last commits of the session',
            hint = 'set transaction isolation level read committed', detail = '{"reasons": ["isolation"]}';
    elsif nullif(current_setting('journal.session', true), '') is not null then
        raise exception using errcode = 'JR006', message = 'the transaction is bound to a session, and a rollback is a session of its own',
            hint = 'commit first';
    end if;
    select string_agg(s.session_id::text, ', ') into missing
      from unnest(session_ids) as s (session_id)
     where not exists (select from journal.undo_members(session_ids, false) m where m.session_id = s.session_id);
    if missing is not null or coalesce(cardinality(session_ids), 0) = 0 then
        raise exception using errcode = 'JR009', message = format('there is no session %s', coalesce(missing, 'to roll back')),
            hint = 'journal sessions lists them';
    end if;
    missing := journal.undo_unknown_steps(session_ids, step_ids);
    if missing is not null then
        raise exception using errcode = 'JR013', message = format('the session has no step %s', missing),
            hint = 'journal.steps lists them, by session_id';
    end if;
end
$undo_admit$;

comment on function journal.undo_admit(uuid[], uuid[], text, text) is 'Raises where a rollback may not begin. Private.';
