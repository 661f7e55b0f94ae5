-- How far each lane of each destination got.
create view relay.lag as
select l.destination, l.lane, l.position, greatest(l.position, l.passed) + b.behind as sealed_position, b.behind, b.oldest_at,
       case when b.behind > 0 then clock_timestamp() - b.oldest_at else interval '0' end as lag,
       l.holder_name as leaseholder, nullif(l.lease_until, '-infinity') as lease_until, l.epoch, l.in_doubt,
       (select count(*) from relay.park as p where p.destination = l.destination and p.lane = l.lane and p.until_seal is null) as parked
from relay.lane as l
cross join lateral relay.lane_backlog(l.destination, l.lane) as b;

comment on view relay.lag is 'How far each lane of each destination got; a running relay writes it about once a second.';
comment on column relay.lag.destination is 'Name of the destination.';
comment on column relay.lag.lane is 'Number of the lane, from 0.';
comment on column relay.lag.position is 'Position of the last message stored there.';
comment on column relay.lag.sealed_position is 'Position of the last message sealed for this lane.';
comment on column relay.lag.behind is 'Messages sealed and not stored.';
comment on column relay.lag.oldest_at is 'When the oldest of them was sealed.';
comment on column relay.lag.lag is 'How long the oldest of them has waited.';
comment on column relay.lag.leaseholder is 'Host and process of the relay that serves the lane; null: none.';
comment on column relay.lag.lease_until is 'Until when it may be sure of that.';
comment on column relay.lag.epoch is 'How often the lane changed hands.';
comment on column relay.lag.in_doubt is 'Whether the outcome of the last append is unknown; the relay reads back before it goes on.';
comment on column relay.lag.parked is 'Messages that the destination refused and that were set aside.';
