-- What parked messages hold up, themselves included (refused): the members of their keys from their own places on that did not
-- arrive all the same and were not given up before.
create function relay.set_aside_by(name text, parks relay.park[], last_seal bigint)
returns table (seal bigint, place bigint, lane integer, id bigint, park_seal bigint, park_place bigint, refused boolean)
language sql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $set_aside_by$
    select m.seal, m.place, m.lane, m.id, p.seal, p.place, (m.seal, m.place) = (p.seal, p.place)
    from unnest(parks) as p
    join relay.members(name, (select min(c.seal) from unnest(parks) as c), last_seal) as m
        on coalesce(m.key, m.message_id::text) = coalesce(p.key, p.message_id::text) and (m.seal, m.place) >= (p.seal, p.place)
    where not exists (select from relay.arrival as a where a.destination = name and a.id = m.id)
      and not exists (
          select from relay.park as d
          where (d.destination, d.seal, d.place) = (name, m.seal, m.place) and d.disposition = 'dead_letter')
$set_aside_by$;

comment on function relay.set_aside_by(text, relay.park[], bigint) is 'The messages that parked ones of a destination hold up, up to a seal.';
