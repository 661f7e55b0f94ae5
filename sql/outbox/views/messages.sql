-- Every message and what became of it.
create view outbox.messages as
select m.message_id, m.topic, m.key, m.type,
       case
           when c.id is not null then 'cancelled'
           when coalesce(m.id <= l.max_id and (m.id <= l.from_id or pg_visible_in_snapshot(m.xid, l.snap)) and m.id <> all (l.pending), false) then 'sealed'
           when m.release_at > clock_timestamp() or m.id = any (l.pending) then 'held'
           else 'pending'
       end as status,
       m.session_id, m.step_id, m.xid as transaction_id, m.created_at,
       (select s.sealed_at from outbox.seal as s where s.no = outbox.seal_of(m.id, m.xid)) as sealed_at,
       m.release_at, m.hold, c.rollback_id as cancelled_by, m.compensates, m.caused_by, m.data, m.headers, m.bytes
from outbox.message as m
left join outbox.cancellation as c on c.id = m.id
left join lateral (select s.snap, s.pending, s.max_id, s.from_id from outbox.seal as s order by s.no desc limit 1) as l on true;

comment on view outbox.messages is 'Messages: published in the transaction that they tell about, then sealed, then delivered by a relay.';
comment on column outbox.messages.message_id is 'Id of the message (UUIDv7); the CloudEvents id.';
comment on column outbox.messages.topic is 'What the message is about; relays choose by it.';
comment on column outbox.messages.key is 'Messages of one key keep their order; null: no order.';
comment on column outbox.messages.type is 'CloudEvents type; the topic unless given.';
comment on column outbox.messages.status is 'pending (committed, waits for the next seal), held (waits for its hold, or behind a held message of its key), cancelled (taken back by a rollback before it was sealed) or sealed (has its place in the order; delivered, or about to be).';
comment on column outbox.messages.session_id is 'Agent session that published it; null outside sessions.';
comment on column outbox.messages.step_id is 'Step that published it; null outside steps.';
comment on column outbox.messages.transaction_id is 'Transaction that published it.';
comment on column outbox.messages.created_at is 'When it was published.';
comment on column outbox.messages.sealed_at is 'When it was sealed; null before.';
comment on column outbox.messages.release_at is 'When its hold ends at the latest; null without a hold.';
comment on column outbox.messages.hold is 'What it waits for: close (until its session closes) or a duration; null: nothing.';
comment on column outbox.messages.cancelled_by is 'Rollback that took it back before it was sealed.';
comment on column outbox.messages.compensates is 'Message that this one takes back.';
comment on column outbox.messages.caused_by is 'Message that this one publishes anew, after a rollback was rolled back.';
comment on column outbox.messages.data is 'What the message says.';
comment on column outbox.messages.headers is 'Headers that travel with it.';
comment on column outbox.messages.bytes is 'Size of data, headers, topic, type and key.';
