-- What a rollback makes of each message: earlier cancellations first, then those of steps (or transactions outside of steps) that it leaves as they
-- are, then unsealed, then sealed. A compensation is taken back by
-- publishing its original anew, and so is what the rollbacks among the sessions had cancelled: history is only added to.
create function outbox.judge_messages(session_ids uuid[], step_ids uuid[], left_steps uuid[], left_transactions xid8[])
returns table (
    id bigint, message_id uuid, topic text, key text, type text, data jsonb, headers jsonb, compensation jsonb,
    compensates uuid, caused_by uuid, outcome text, compensation_id uuid
)
language sql stable
set search_path = pg_catalog, pg_temp
as $judge_messages$
    with last as (
        select s.snap, s.pending, s.max_id, s.from_id from outbox.seal as s order by s.no desc limit 1
    ), judged as (
        select m.*, case
            when c.id is not null then 'already_cancelled'
            when m.step_id = any (left_steps) or m.step_id is null and m.xid = any (left_transactions) then 'kept'
            when not coalesce(m.id <= l.max_id and (m.id <= l.from_id or pg_visible_in_snapshot(m.xid, l.snap)) and m.id <> all (l.pending), false) then 'cancelled'
            when m.compensation is not null or m.compensates is not null then 'compensated'
            else 'sent'
        end as outcome
        from outbox.message as m
        left join last as l on true
        left join outbox.cancellation as c on c.id = m.id
        where m.session_id = any (session_ids) and (step_ids is null or m.step_id = any (step_ids))
    )
    select j.id, j.message_id, j.topic, j.key, j.type, j.data, j.headers, j.compensation, j.compensates, j.caused_by, j.outcome,
           case when j.outcome = 'compensated' then (
               select k.message_id from outbox.message as k
               where k.compensates = j.message_id
                 and not exists (select from outbox.cancellation as x where x.id = k.id)
               order by k.id limit 1) end
    from judged as j
    union all
    select m.id, m.message_id, m.topic, m.key, m.type, m.data, m.headers, m.compensation, m.compensates, m.caused_by,
           'compensated', (
               select k.message_id from outbox.message as k
               where k.caused_by = m.message_id
                 and not exists (select from outbox.cancellation as x where x.id = k.id)
               order by k.id limit 1)
    from outbox.cancellation as c
    join outbox.message as m on m.id = c.id
    where c.rollback_id = any (session_ids) and step_ids is null and c.xid <> all (left_transactions)
$judge_messages$;

comment on function outbox.judge_messages(uuid[], uuid[], uuid[], xid8[]) is 'The outcome of taking back the messages of sessions. Private; outbox.take_back_plan shows it.';
