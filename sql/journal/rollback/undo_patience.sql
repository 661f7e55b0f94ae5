-- How long a rollback may still wait for a lock in an attempt that began then: half of deadlock_timeout in all, and not past
-- the deadline.
create function journal.undo_patience(began timestamptz, deadline timestamptz) returns text
language sql volatile
begin atomic
    select pg_catalog.format('%sms', pg_catalog.ceil(greatest(1, 1000 * extract(epoch from least(
               began + pg_catalog.current_setting('deadlock_timeout')::interval / 2, deadline) - pg_catalog.clock_timestamp()))));
end;

comment on function journal.undo_patience(timestamptz, timestamptz) is 'Value of lock_timeout for one attempt of a rollback. Private.';
