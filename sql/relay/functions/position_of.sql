-- Position of a place in a lane: counted from the nearest mark, since it is stored nowhere.
create function relay.position_of(name text, lane integer, seal bigint, place bigint) returns bigint
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $position_of$
declare
    from_seal bigint;
    counted bigint;
begin
    select k.seal, k.position into from_seal, counted
    from relay.mark as k
    where k.destination = name and k.lane = position_of.lane and k.seal < position_of.seal
    order by k.seal desc limit 1;
    return coalesce(counted, 0) + (
        select count(*)
        from relay.members(name, coalesce(from_seal, 0) + 1, position_of.seal) as m
        where m.lane = position_of.lane and (m.seal, m.place) <= (position_of.seal, position_of.place));
end
$position_of$;

comment on function relay.position_of(text, integer, bigint, bigint) is 'Position of a message in a lane of a destination, or of the last one in front of a place.';
