-- The last seal that is committed.
create function relay.last_seal() returns bigint
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $last_seal$
    select coalesce(max(s.no), 0) from outbox.seal as s
$last_seal$;

comment on function relay.last_seal() is 'Number of the last seal; 0 when nothing was sealed yet.';
