-- The parked messages and dead letters of a destination, with what waits behind each: one pass over what was sealed since.
create function relay.parked_of(name text) returns table (seal bigint, place bigint, waiting bigint)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $parked_of$
declare
    parks relay.park[];
begin
    select array_agg(p) into parks from relay.park as p where p.destination = name and p.until_seal is null;
    return query
    select p.seal, p.place, 0::bigint from relay.park as p
    where p.destination = name and p.disposition = 'dead_letter'
    union all
    select w.park_seal, w.park_place, count(*) filter (where not w.refused)
    from relay.set_aside_by(name, parks, (select max(s.no) from outbox.seal as s)) as w
    group by w.park_seal, w.park_place;
end
$parked_of$;

comment on function relay.parked_of(text) is 'Places of what a destination refused, and how many messages wait behind each.';
