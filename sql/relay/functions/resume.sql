-- Lets a paused destination, or all with null, go on.
create function relay.resume(name text) returns text[]
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $resume$
declare
    resumed text[];
begin
    with changed as (
        update relay.destination as d set paused_at = null
        where (name is null or d.destination = name) and d.paused_at is not null
        returning d.destination
    )
    select coalesce(array_agg(c.destination order by c.destination), '{}') into resumed from changed as c;
    return resumed;
end
$resume$;

comment on function relay.resume(text) is 'Ends the pause of a destination (null: of all) and returns the names of those that were paused.';
