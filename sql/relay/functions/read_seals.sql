-- The messages of whole seals for some lanes of a destination, after making sure that none is missing. In no order: to sort, or to
-- keep, whole messages here costs more than to read them.
create function relay.read_seals(name text, only_lanes integer[], first bigint, last bigint, verify boolean default true)
returns setof relay.envelope
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $read_seals$
declare
    parks constant boolean := exists (select from relay.park as p where p.destination = name);
begin
    if verify then
        perform outbox.verify_seals(first, last);
    end if;
    return query
    select m.seal, m.id, m.slot % r.lanes, m.message_id::text, g.lineage_id::text, m.topic, m.key, m.type, m.data::text,
           m.headers::text, m.compensates::text, m.caused_by::text, relay.wire_time(m.created_at), m.bytes,
           parks and relay.is_aside(name, m.seal, m.id, m.id, m.key)
    from outbox.members(first, last) as m
    join outbox.lineage as g on g.no = m.lineage
    join lateral (
        select v.patterns, v.lanes from relay.route as v
        where v.destination = name and v.from_seal <= m.seal order by v.version desc limit 1
    ) as r on m.topic like any (r.patterns) and m.slot % r.lanes = any (only_lanes);
    if parks then
        return query select t.* from relay.read_retried(name, only_lanes, first, last, 0) as t;
    end if;
end
$read_seals$;

comment on function relay.read_seals(text, integer[], bigint, bigint, boolean) is 'Messages of the seals first to last for some lanes of a destination; their order is (seal, place).';
