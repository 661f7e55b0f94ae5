-- The last seal that was made at a time or before it.
create function relay.last_seal_at(moment timestamptz) returns bigint
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $last_seal_at$
    select coalesce((select s.no from outbox.seal as s where s.sealed_at <= moment order by s.sealed_at desc, s.no desc limit 1), 0)
$last_seal_at$;

comment on function relay.last_seal_at(timestamptz) is 'Number of the last seal made up to a time; 0 when there is none.';
