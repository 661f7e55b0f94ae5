-- Where each sealed message went.
create view relay.deliveries as
select m.message_id, r.destination, l.lane, relay.position_of(r.destination, l.lane, s.no, m.id) as position,
       case
           when p.message_id is not null then p.disposition
           when (s.no, m.id) <= (l.last_seal, l.last_id) then 'delivered'
           else 'waiting'
       end as status,
       s.sealed_at,
       case when p.message_id is null and (s.no, m.id) <= (l.last_seal, l.last_id) then coalesce(
           (select k.marked_at from relay.mark as k
            where k.destination = l.destination and k.lane = l.lane and k.seal >= s.no order by k.seal limit 1),
           l.appended_at) end as delivered_at
from outbox.message as m
cross join lateral (select outbox.seal_of(m.id, m.xid) as no) as q
join outbox.seal as s on s.no = q.no
join relay.route as r on r.from_seal <= s.no and m.topic like any (r.patterns)
     and not exists (
         select from relay.route as v
         where v.destination = r.destination and v.version > r.version and v.from_seal <= s.no)
join relay.lane as l on l.destination = r.destination and l.lane = m.slot % r.lanes
left join relay.park as p on p.destination = r.destination and p.message_id = m.message_id;

comment on view relay.deliveries is 'Sealed messages by destination. Filter by message_id: positions are counted, not stored.';
comment on column relay.deliveries.message_id is 'Id of the message.';
comment on column relay.deliveries.destination is 'Name of the destination.';
comment on column relay.deliveries.lane is 'Lane of that destination.';
comment on column relay.deliveries.position is 'Position in that lane, from 1, without gaps.';
comment on column relay.deliveries.status is 'waiting, delivered (stored at the destination), parked (refused, set aside, can be retried) or dead_letter (refused and given up).';
comment on column relay.deliveries.sealed_at is 'When the message was sealed.';
comment on column relay.deliveries.delivered_at is 'When it was known to be stored, to a second or so.';
