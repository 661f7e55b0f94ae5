-- The last seal that every lane of every destination had passed at a time, or begins after. Null where there is no destination: then nobody has read
-- anything yet.
create function relay.passed_seal(moment timestamptz) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $passed_seal$
    select min(coalesce((
        select max(k.seal) from relay.mark as k
        where k.destination = l.destination and k.lane = l.lane and k.marked_at <= moment),
        (select min(r.from_seal) - 1 from relay.route as r where r.destination = l.destination)))
    from relay.lane as l
    join relay.destination as d on d.destination = l.destination and d.finished_with is null
$passed_seal$;

comment on function relay.passed_seal(timestamptz) is 'The last seal that all destinations had passed at a time; null without a destination.';
