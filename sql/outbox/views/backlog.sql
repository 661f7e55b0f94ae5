-- What is committed and not sealed yet.
create view outbox.backlog as
select w.topic, w.status, count(*) as messages, sum(w.bytes)::bigint as bytes, min(w.created_at) as oldest_at,
       clock_timestamp() - min(w.created_at) as age
from (
    select u.topic, u.bytes, u.created_at,
           case when u.release_at > clock_timestamp() or u.waited then 'held' else 'pending' end as status
    from outbox.unsealed() as u
) as w
group by w.topic, w.status;

comment on view outbox.backlog is 'Messages that are committed and not sealed, by topic.';
comment on column outbox.backlog.topic is 'Topic of the messages.';
comment on column outbox.backlog.status is 'pending (sealed by the next relay that polls) or held (waits for a hold, or behind one).';
comment on column outbox.backlog.messages is 'How many.';
comment on column outbox.backlog.bytes is 'Their size.';
comment on column outbox.backlog.oldest_at is 'When the oldest was published.';
comment on column outbox.backlog.age is 'How long the oldest has waited.';
