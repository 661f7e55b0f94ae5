-- What is sealed for a lane and not yet delivered or set aside. Counts seals where it can, messages only where topics, lanes or
-- retries part them.
create function relay.lane_backlog(name text, lane integer) returns table (behind bigint, oldest_at timestamptz)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $lane_backlog$
declare
    route record;
    here record;
begin
    select r.* into route from relay.route as r where r.destination = name order by r.version desc limit 1;
    select l.*, greatest(l.seal, route.from_seal - 1) as through, greatest(l.position - l.passed, 0) as within into here
    from relay.lane as l where l.destination = name and l.lane = lane_backlog.lane;
    if exists (select from relay.destination as d where d.destination = name and d.finished_with is not null) then
        behind := 0;
        return next;
        return;
    elsif route.version = 1 and route.topics = '{*}' and route.lanes = 1 then
        behind := coalesce((select s.total from outbox.seal as s order by s.no desc limit 1), 0)
                - coalesce((select s.total from outbox.seal as s where s.no = here.through), 0)
                + (select count(*) from relay.retried as t where t.destination = name and t.seal > here.through)
                - here.within;
        oldest_at := (
            select s.sealed_at from outbox.seal as s
            where s.no > here.seal and behind > 0
              and (s.members > 0 or exists (select from relay.retried as t where t.destination = name and t.seal = s.no))
            order by s.no limit 1);
        return next;
        return;
    end if;
    return query
    select count(*), min(s.sealed_at)
    from relay.members(name, here.seal + 1, (select max(s.no) from outbox.seal as s)) as m
    join outbox.seal as s on s.no = m.seal
    where m.lane = lane_backlog.lane and (m.seal, m.place) > (here.last_seal, here.last_id);
end
$lane_backlog$;

comment on function relay.lane_backlog(text, integer) is 'Messages sealed for a lane and not stored at its destination, and when the oldest was sealed.';
