-- How long one lock attempt of a rollback may wait: half of deadlock_timeout, and not past the deadline.
create function journal.undo_patience(deadline timestamptz) returns text
language sql volatile
begin atomic
    select pg_catalog.format('%sms', greatest(1, least(
               extract(epoch from pg_catalog.current_setting('deadlock_timeout')::interval) * 500,
               extract(epoch from deadline - pg_catalog.clock_timestamp()) * 1000))::integer);
end;

comment on function journal.undo_patience(timestamptz) is 'Value of lock_timeout for one attempt of a rollback. Private.';
