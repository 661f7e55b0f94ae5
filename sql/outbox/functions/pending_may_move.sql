-- Whether something that was pending may have become free. Cheap, since every poll asks: looking at all pending messages is not.
create function outbox.pending_may_move(last outbox.seal) returns boolean
language sql volatile
set search_path = pg_catalog, pg_temp
as $pending_may_move$
    select cardinality(last.pending) > 0 and (
        last.lock_missed
        or last.due_at <= clock_timestamp()
        or exists (select from journal.session as s where s.session_id = any (last.waits_for) and s.status = 'closed')
        or exists (select from outbox.cancellation as c
                   where c.xid >= pg_snapshot_xmin(last.snap) and not pg_visible_in_snapshot(c.xid, last.snap)))
$pending_may_move$;

comment on function outbox.pending_may_move(outbox.seal) is 'Whether pending messages may have become free since a seal.';
