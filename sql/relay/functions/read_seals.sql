-- The messages of whole seals for some lanes of a destination, in order, after making sure that none is missing.
create function relay.read_seals(name text, only_lanes integer[], first bigint, last bigint)
returns setof relay.envelope
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $read_seals$
declare
    parks constant boolean := exists (select from relay.park as p where p.destination = name);
begin
    return query
    with member as materialized (
        select m.* from outbox.members(first, last) as m
    ), counted as materialized (
        select m.seal, count(*) as found, bit_xor(outbox.hash_of(m.message_id)) as digest from member as m group by m.seal
    ), missing as materialized (
        select outbox.raise_missing(s.no, s.members, coalesce(c.found, 0))
        from outbox.seal as s left join counted as c on c.seal = s.no
        where s.no between first and last and (s.members, s.digest) <> (coalesce(c.found, 0), coalesce(c.digest, 0))
    )
    select m.seal, m.id, m.slot % r.lanes, m.message_id::text, g.lineage_id::text, m.topic, m.key, m.type, m.data::text,
           m.headers::text, m.compensates::text, m.caused_by::text, relay.wire_time(m.created_at), m.bytes,
           parks and relay.is_aside(name, m.seal, m.id, m.id, m.key)
    from member as m
    join outbox.lineage as g on g.no = m.lineage
    join lateral (
        select v.patterns, v.lanes from relay.route as v
        where v.destination = name and v.from_seal <= m.seal order by v.version desc limit 1
    ) as r on m.topic like any (r.patterns) and m.slot % r.lanes = any (only_lanes)
    where not exists (select from missing)
    union all
    select t.* from relay.read_retried(name, only_lanes, first, last, 0) as t where parks
    order by 1, 2;
end
$read_seals$;

comment on function relay.read_seals(text, integer[], bigint, bigint) is 'Messages of the seals first to last for some lanes of a destination, by seal and place.';
