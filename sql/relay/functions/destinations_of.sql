-- The destinations that take a topic now.
create function relay.destinations_of(topic text) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $destinations_of$
    select coalesce(array_agg(d.destination order by d.destination), '{}')
    from relay.destination as d
    join lateral (
        select r.patterns from relay.route as r where r.destination = d.destination order by r.version desc limit 1
    ) as r on destinations_of.topic like any (r.patterns)
    where d.finished_at is null
$destinations_of$;

comment on function relay.destinations_of(text) is 'Names of the destinations that take a topic.';
