-- The smallest limit of the destinations that take the topic; null when there is none.
create function relay.size_limit(topic text) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $size_limit$
    select min(d.max_bytes)
    from relay.destination as d
    join lateral (
        select r.patterns from relay.route as r where r.destination = d.destination order by r.version desc limit 1
    ) as r on size_limit.topic like any (r.patterns)
    where d.finished_at is null
$size_limit$;

comment on function relay.size_limit(text) is 'Largest size in bytes that all destinations of a topic take.';
