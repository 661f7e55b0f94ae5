-- What a destination takes of a range of seals: the members of its topics, and in seals of kind retry its own. Their order is
-- (seal, place). Inlined into its callers.
create function relay.members(name text, first bigint, last bigint)
returns table (
    seal bigint, place bigint, lane integer, id bigint, message_id uuid, topic text, key text, type text, data jsonb,
    headers jsonb, compensates uuid, caused_by uuid, created_at timestamptz, bytes integer, lineage integer
)
language sql stable
as $members$
    select m.seal, m.id, m.slot % r.lanes, m.id, m.message_id, m.topic, m.key, m.type, m.data,
           m.headers, m.compensates, m.caused_by, m.created_at, m.bytes, m.lineage
    from outbox.members(first, last) as m
    join lateral (
        select v.patterns, v.lanes from relay.route as v
        where v.destination = name and v.from_seal <= m.seal order by v.version desc limit 1
    ) as r on m.topic like any (r.patterns)
    union all
    select t.seal, t.place, t.lane, m.id, m.message_id, m.topic, m.key, m.type, m.data,
           m.headers, m.compensates, m.caused_by, m.created_at, m.bytes, s.lineage
    from relay.retried as t
    join outbox.seal as s on s.no = t.seal
    join outbox.message as m on m.id = t.id
    where t.destination = name and t.seal between first and last
$members$;

comment on function relay.members(text, bigint, bigint) is 'Members of the seals first to last for a destination, in no order; their order is (seal, place).';
