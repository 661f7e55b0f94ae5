-- A lane as it is stored now: what a relay compares with the destination's tail.
create function relay.lane_state(name text, lane integer) returns setof relay.lane
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $lane_state$
    select l.* from relay.lane as l where l.destination = name and l.lane = lane_state.lane
$lane_state$;

comment on function relay.lane_state(text, integer) is 'Lease and checkpoint of a lane.';
