-- Pauses a destination, or all with null. Its relays finish the batch in flight and wait.
create function relay.pause(name text) returns text[]
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $pause$
declare
    paused text[];
begin
    with changed as (
        update relay.destination as d set paused_at = clock_timestamp()
        where (name is null or d.destination = name) and d.paused_at is null
        returning d.destination
    )
    select coalesce(array_agg(c.destination order by c.destination), '{}') into paused from changed as c;
    return paused;
end
$pause$;

comment on function relay.pause(text) is 'Pauses a destination (null: all) and returns the names of those that were not paused before.';
