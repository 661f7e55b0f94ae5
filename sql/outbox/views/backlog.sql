-- What is committed and not sealed yet: reads that only, however long the history is.
create view outbox.backlog as
select w.topic, w.status, count(*) as messages, sum(w.bytes)::bigint as bytes, min(w.created_at) as oldest_at,
       clock_timestamp() - min(w.created_at) as age
from (
    select u.topic, u.bytes, u.created_at,
           case when u.release_at > clock_timestamp() or u.waited then 'held' else 'pending' end as status
    from (select coalesce((select s.no from outbox.seal as s order by s.no desc limit 1), -1) as no) as l
    left join outbox.seal as p on p.no = l.no
    cross join lateral (
        select v.id, v.topic, v.bytes, v.created_at, v.release_at, false as waited
        from outbox.visible_between(coalesce(p.snap, '3:3:'), pg_current_snapshot()) as v
        union all
        select m.id, m.topic, m.bytes, m.created_at, m.release_at, true
        from outbox.message as m where m.id = any (p.pending)
    ) as u
    where not exists (select from outbox.cancellation as c where c.id = u.id)
) as w
group by w.topic, w.status;

comment on view outbox.backlog is 'Messages that are committed and not sealed, by topic.';
comment on column outbox.backlog.topic is 'Topic of the messages.';
comment on column outbox.backlog.status is 'pending (sealed by the next relay that polls) or held (waits for a hold, or behind one).';
comment on column outbox.backlog.messages is 'How many.';
comment on column outbox.backlog.bytes is 'Their size.';
comment on column outbox.backlog.oldest_at is 'When the oldest was published.';
comment on column outbox.backlog.age is 'How long the oldest has waited.';
