-- Locks, one by one, the rows that others held when a rollback tried before: while it holds nothing else. All its waiting
-- together takes less than half of deadlock_timeout, and afterwards the rollback does not wait any more. So nobody who waits
-- for it has waited long enough to look for a deadlock while it waits itself: it yields, and a live writer is never the victim.
create function journal.undo_lock_first(statements text[], deadline timestamptz) returns void
language plpgsql volatile
as $undo_lock_first$
declare
    started constant timestamptz := clock_timestamp();
    item    text;
begin
    foreach item in array statements loop
        perform set_config('lock_timeout', journal.undo_patience(started, deadline), true);
        execute item;
    end loop;
    perform set_config('lock_timeout', '1ms', true);
end
$undo_lock_first$;

comment on function journal.undo_lock_first(text[], timestamptz) is 'Waits for the rows that others held before, within one patience in all. Private.';
