-- A part of a large seal, by primary key between its lowest and highest message: paging by the difference of snapshots would read
-- the whole seal for every page.
create function relay.read_part(
    name text, only_lanes integer[], part_of bigint, after_place bigint, max_members integer, max_bytes bigint, verify boolean
)
returns setof relay.envelope
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $read_part$
declare
    parks constant boolean := exists (select from relay.park as p where p.destination = name);
begin
    if verify then
        perform outbox.verify_seals(part_of, part_of);
    end if;
    return query
    with part as (
        select m.id, s.lineage, m.slot % r.lanes as lane, m.bytes
        from outbox.seal as s
        join outbox.seal as p on p.no = s.no - 1
        join lateral (
            select v.patterns, v.lanes from relay.route as v
            where v.destination = name and v.from_seal <= s.no order by v.version desc limit 1
        ) as r on true
        join outbox.message as m on m.id > after_place and m.id between s.min_id and s.max_id
        where s.no = part_of
          and (pg_visible_in_snapshot(m.xid, s.snap) and not pg_visible_in_snapshot(m.xid, p.snap)
               and m.id > s.from_id and m.id <> all (s.pending)
               or m.id = any (s.released))
          and not exists (select from outbox.cancellation as c where c.id = m.id)
          and m.topic like any (r.patterns) and m.slot % r.lanes = any (only_lanes)
        order by m.id limit max_members
    ), summed as (
        select p.id, p.lineage, p.lane, row_number() over upto as number, sum(p.bytes) over upto as bytes
        from part as p window upto as (order by p.id)
    )
    select part_of, m.id, s.lane, m.message_id::text, g.lineage_id::text, m.topic, m.key, m.type, m.data::text,
           m.headers::text, m.compensates::text, m.caused_by::text, relay.wire_time(m.created_at), m.bytes,
           parks and relay.is_aside(name, part_of, m.id, m.id, m.key)
    from summed as s
    join outbox.message as m on m.id = s.id
    join outbox.lineage as g on g.no = s.lineage
    where s.number = 1 or s.bytes <= max_bytes
    order by m.id;
    if parks then
        return query
        select t.* from relay.read_retried(name, only_lanes, part_of, part_of, after_place) as t order by t.place limit max_members;
    end if;
end
$read_part$;

comment on function relay.read_part(text, integer[], bigint, bigint, integer, bigint, boolean) is
    'The next messages of one seal after a place, at most so many and so large; none when the seal is read.';
