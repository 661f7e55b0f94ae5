-- Whether a message of these numbers may still be delivered: parked, behind a parked one, or tried again.
create function relay.is_awaited(from_id bigint, to_id bigint, seal bigint) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $is_awaited$
    select exists (
        select from relay.park as p where p.until_seal is null and p.seal <= is_awaited.seal
        union all
        select from relay.retried as t
        join relay.lane as l on l.destination = t.destination and l.lane = t.lane
        where t.id >= from_id and t.id < to_id
          and (t.seal > l.seal or exists (
              select from relay.park as p
              where p.destination = t.destination and p.until_seal is null and p.seal <= t.seal)))
$is_awaited$;

comment on function relay.is_awaited(bigint, bigint, bigint) is 'Whether messages of a span of numbers, sealed up to a seal, are set aside and may come again.';
