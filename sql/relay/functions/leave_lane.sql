-- Gives a lane back at a clean stop, so that the next relay need not wait for the lease to run out.
create function relay.leave_lane(name text, lane integer, epoch bigint) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $leave_lane$
begin
    update relay.lane as l
    set holder = null, holder_name = null, lease_until = '-infinity', crashes = 0, trying = null
    where l.destination = name and l.lane = leave_lane.lane and l.epoch = leave_lane.epoch;
    return found;
end
$leave_lane$;

comment on function relay.leave_lane(text, integer, bigint) is 'Gives up the lease of a lane; false when it was lost before.';
