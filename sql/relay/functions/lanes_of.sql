-- How many lanes a destination has; null when it is not registered.
create function relay.lanes_of(name text) returns integer
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $lanes_of$
    select r.lanes from relay.route as r where r.destination = name order by r.version desc limit 1
$lanes_of$;

comment on function relay.lanes_of(text) is 'Number of lanes of a destination.';
