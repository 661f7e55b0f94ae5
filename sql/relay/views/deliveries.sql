-- Where each sealed message went. One that was retried counts at its last place.
create view relay.deliveries as
select m.message_id, r.destination, l.lane, relay.position_of(r.destination, l.lane, w.seal, w.place) as position,
       case
           when w.aside then coalesce(p.disposition, 'waiting')
           when w.seal <= l.seal or (w.seal, w.place) <= (l.last_seal, l.last_id) then 'delivered'
           else 'waiting'
       end as status,
       s.sealed_at,
       case when not w.aside and (w.seal <= l.seal or (w.seal, w.place) <= (l.last_seal, l.last_id)) then coalesce(
           (select k.marked_at from relay.mark as k
            where k.destination = l.destination and k.lane = l.lane and k.seal >= w.seal order by k.seal limit 1),
           l.appended_at) end as delivered_at
from outbox.message as m
cross join lateral (select outbox.seal_of(m.id, m.xid) as no) as q
join outbox.seal as s on s.no = q.no
join relay.route as r on r.from_seal <= s.no and m.topic like any (r.patterns)
     and not exists (
         select from relay.route as v
         where v.destination = r.destination and v.version > r.version and v.from_seal <= s.no)
join relay.destination as d on d.destination = r.destination and s.no <= coalesce(d.finished_with, s.no)
join relay.lane as l on l.destination = r.destination and l.lane = m.slot % r.lanes
cross join lateral (
    select o.seal, o.place, relay.is_aside(r.destination, o.seal, o.place, m.id, m.key) as aside
    from (
        select a.seal, a.place, 1 as rank from relay.arrival as a where a.destination = r.destination and a.id = m.id
        union all
        select t.seal, t.place, 2 from relay.retried as t where t.destination = r.destination and t.id = m.id
        union all
        select s.no, m.id, 3
    ) as o
    order by o.rank, o.seal desc limit 1
) as w
left join relay.park as p on (p.destination, p.seal, p.place) = (r.destination, w.seal, w.place);

comment on view relay.deliveries is 'Sealed messages by destination. Filter by message_id: positions are counted, not stored.';
comment on column relay.deliveries.message_id is 'Id of the message.';
comment on column relay.deliveries.destination is 'Name of the destination.';
comment on column relay.deliveries.lane is 'Lane of that destination.';
comment on column relay.deliveries.position is 'Position in that lane, from 1; what is set aside leaves its position empty.';
comment on column relay.deliveries.status is 'waiting (also behind a parked message of its key), delivered (stored at the destination), parked (refused, set aside, can be retried) or dead_letter (refused and given up).';
comment on column relay.deliveries.sealed_at is 'When the message was sealed.';
comment on column relay.deliveries.delivered_at is 'When it was known to be stored, to a second or so.';
