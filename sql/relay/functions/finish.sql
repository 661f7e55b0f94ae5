-- A replay is done: nothing is kept for this destination, and nothing is missing at it, until somebody runs it again.
create function relay.finish(name text, seal bigint) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $finish$
    update relay.destination as d set finished_at = clock_timestamp(), finished_with = seal where d.destination = name
$finish$;

comment on function relay.finish(text, bigint) is 'Records that a replay into a destination is done.';
