-- A destination that nothing was delivered to may be made; one that is gone afterwards was lost.
create function relay.is_fresh(name text) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $is_fresh$
    select not exists (select from relay.lane as l where l.destination = name and l.position > 0)
$is_fresh$;

comment on function relay.is_fresh(text) is 'Whether no message was delivered to a destination yet.';
