-- Takes a lane whose lease ran out, or which this holder has already. No row: somebody else has it.
create function relay.take_lane(name text, lane integer, holder uuid, holder_name text, lease interval)
returns setof relay.lane
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $take_lane$
    update relay.lane as l
    set epoch = l.epoch + 1, holder = take_lane.holder, holder_name = take_lane.holder_name,
        lease_until = clock_timestamp() + take_lane.lease,
        crashes = l.crashes + case when l.holder <> take_lane.holder then 1 else 0 end   -- whoever ends cleanly leaves no holder
    where l.destination = name and l.lane = take_lane.lane
      and (l.holder is null or l.holder = take_lane.holder or l.lease_until < clock_timestamp())
    returning l.*
$take_lane$;

comment on function relay.take_lane(text, integer, uuid, text, interval) is 'Takes the lease of a lane; the lane''s row, or none while another relay holds it.';
