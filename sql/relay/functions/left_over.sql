-- What a drain leaves behind: messages that wait for their hold, and those that this destination refused.
create function relay.left_over(name text) returns table (held bigint, parked bigint)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $left_over$
    select coalesce((select sum(b.messages) from outbox.backlog as b where b.status = 'held'), 0)::bigint,
           (select count(*) from relay.park as p where p.destination = name and p.until_seal is null)
$left_over$;

comment on function relay.left_over(text) is 'Messages that are held, and messages parked at a destination.';
