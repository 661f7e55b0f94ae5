-- Asked about once a second by relays that have nothing to store.
create function relay.is_paused(name text) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $is_paused$
    select d.paused_at is not null from relay.destination as d where d.destination = name
$is_paused$;

comment on function relay.is_paused(text) is 'Whether an operator has paused a destination.';
