-- The members of a range of seals, a pure function of committed rows. Inlined into its callers.
create function outbox.members(first bigint, last bigint)
returns table (
    seal bigint, id bigint, message_id uuid, topic text, key text, slot smallint, type text, data jsonb, headers jsonb,
    compensates uuid, caused_by uuid, created_at timestamptz, bytes integer, lineage integer
)
language sql stable
as $members$
    select s.no, m.id, m.message_id, m.topic, m.key, m.slot, m.type, m.data, m.headers,
           m.compensates, m.caused_by, m.created_at, m.bytes, s.lineage
    from outbox.seal as s
    join outbox.seal as p on p.no = s.no - 1
    cross join lateral (
        select v.* from outbox.visible_between(p.snap, s.snap, s.from_id) as v where v.id <> all (s.pending)
        union all
        select r.* from outbox.message as r where r.id = any (s.released)
    ) as m
    where s.no between first and last
      and not exists (select from outbox.cancellation as c where c.id = m.id)
$members$;

comment on function outbox.members(bigint, bigint) is 'Members of the seals first to last, in no order; their order is (seal, id).';
