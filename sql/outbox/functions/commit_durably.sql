-- This transaction must survive a crash once it is seen, whatever the role or the database has as its default.
create function outbox.commit_durably() returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $commit_durably$
    select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') <> 'remote_apply'
$commit_durably$;

comment on function outbox.commit_durably() is 'Forces synchronous commit on the current transaction.';
