-- A place from which a position is found by counting on.
create function relay.nearest_mark(name text, lane integer, "position" bigint) returns table (seal bigint, passed bigint)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $nearest_mark$
    select k.seal, k.position from relay.mark as k
    where k.destination = name and k.lane = nearest_mark.lane and k.position <= nearest_mark."position"
    order by k.seal desc limit 1
$nearest_mark$;

comment on function relay.nearest_mark(text, integer, bigint) is 'The last mark of a lane that is not beyond a position; no row when there is none.';
