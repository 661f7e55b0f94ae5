-- Returns once everything that was committed before is as safe as this database makes its commits: with synchronous replication, on
-- the standby. A commit whose wait for the standby was cancelled is visible all the same, with a warning that only its session sees.
create function relay.confirm() returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $confirm$
begin
    perform outbox.commit_durably();
    perform pg_logical_emit_message(true, 'relay', '');   -- the least that makes a commit wait
end
$confirm$;

comment on function relay.confirm() is 'Waits, at its commit, until all earlier commits are as durable as this one.';
