-- What a destination refused.
create view relay.parked as
select p.destination, p.lane, p.message_id, p.topic, p.key, w.waiting, p.attempts, p.error, p.first_failed_at, p.last_failed_at,
       p.disposition
from relay.destination as d
cross join lateral relay.parked_of(d.destination) as w
join relay.park as p on (p.destination, p.seal, p.place) = (d.destination, w.seal, w.place);

comment on view relay.parked is 'Messages that a destination refused for good, and that were not tried again since.';
comment on column relay.parked.destination is 'Name of the destination.';
comment on column relay.parked.lane is 'Lane of that destination.';
comment on column relay.parked.message_id is 'Id of the message.';
comment on column relay.parked.topic is 'Its topic.';
comment on column relay.parked.key is 'Its key; later messages of the key wait behind it.';
comment on column relay.parked.waiting is 'How many wait behind it.';
comment on column relay.parked.attempts is 'How often it was refused.';
comment on column relay.parked.error is 'What the destination said last.';
comment on column relay.parked.first_failed_at is 'When it was refused first.';
comment on column relay.parked.last_failed_at is 'When it was refused last.';
comment on column relay.parked.disposition is 'parked (can be retried; its key waits) or dead_letter (given up; its key goes on).';
