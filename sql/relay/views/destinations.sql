-- Each destination and how it does.
create view relay.destinations as
select d.destination, d.url, d.guarantee, r.topics, r.lanes,
       case
           when d.paused_at is not null then 'paused'
           when d.stopped_for is not null or l.live = 0 then 'stopped'
           when d.last_error_at > coalesce(d.recovered_at, '-infinity') then 'failing'
           else 'running'
       end as status,
       case
           when d.paused_at is not null then format('paused at %s; go on with: relay resume %s', d.paused_at, d.destination)
           when d.stopped_for is not null then d.stopped_for
           when d.finished_at is not null then format('its replay was done at %s', d.finished_at)
           when l.live = 0 then format('no relay is running; start one with: relay run %s --name %s', d.url, d.destination)
           when d.last_error_at > coalesce(d.recovered_at, '-infinity') then d.last_error
       end as status_reason,
       g.lineage_id as lineage, d.created_at, l.last_append_at, d.last_error_at, d.last_error
from relay.destination as d
join lateral (
    select v.topics, v.lanes from relay.route as v where v.destination = d.destination order by v.version desc limit 1
) as r on true
join lateral (
    select max(n.appended_at) as last_append_at, count(*) filter (where n.lease_until > clock_timestamp()) as live
    from relay.lane as n where n.destination = d.destination
) as l on true
left join lateral (
    select n.lineage_id from outbox.lineage as n order by n.no desc limit 1
) as g on true;

comment on view relay.destinations is 'Destinations of messages.';
comment on column relay.destinations.destination is 'Name of the destination; its identity.';
comment on column relay.destinations.url is 'Where it is, without credentials.';
comment on column relay.destinations.guarantee is 'A (conditional append: exactly once), B (the destination drops repeats by number), C (within a time window), D (none: the receiver must drop repeats).';
comment on column relay.destinations.topics is 'Patterns of the topics that it takes; * stands for any text.';
comment on column relay.destinations.lanes is 'Number of lanes.';
comment on column relay.destinations.status is 'running, paused (by an operator), stopped (no relay runs, or relays refuse to go on) or failing (relays retry).';
comment on column relay.destinations.status_reason is 'Why it does not run, and what to do; null while it runs.';
comment on column relay.destinations.lineage is 'Lineage of the messages that are sealed now.';
comment on column relay.destinations.created_at is 'When it was first run.';
comment on column relay.destinations.last_append_at is 'When something was stored there, to a second or so.';
comment on column relay.destinations.last_error_at is 'When the last error happened.';
comment on column relay.destinations.last_error is 'The last error.';
