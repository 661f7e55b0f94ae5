-- Whether a place stays empty: its message was refused, or waits behind a refused one of its key, or arrived at another place.
create function relay.is_aside(name text, seal bigint, place bigint, id bigint, key text) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $is_aside$
    select coalesce(
        (select (a.seal, a.place) <> (is_aside.seal, is_aside.place) from relay.arrival as a
         where a.destination = name and a.id = is_aside.id),
        exists (
            select from relay.park as p
            where p.destination = name and (p.seal, p.place) = (is_aside.seal, is_aside.place)
            union all
            select from relay.park as p
            where p.destination = name and p.key = is_aside.key
              and (p.seal, p.place) < (is_aside.seal, is_aside.place)
              and (p.until_seal is null or p.until_seal > is_aside.seal)))
$is_aside$;

comment on function relay.is_aside(text, bigint, bigint, bigint, text) is 'Whether a member of a seal is set aside at a destination.';
