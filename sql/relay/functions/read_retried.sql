-- The members of seals of kind retry: what an operator lets a destination try again.
create function relay.read_retried(name text, only_lanes integer[], first bigint, last bigint, after_place bigint)
returns setof relay.envelope
language sql stable
set search_path = pg_catalog, pg_temp
as $read_retried$
    select t.seal, t.place, t.lane, m.message_id::text, g.lineage_id::text, m.topic, m.key, m.type, m.data::text,
           m.headers::text, m.compensates::text, m.caused_by::text, relay.wire_time(m.created_at), m.bytes,
           relay.is_aside(name, t.seal, t.place, t.id, m.key)
    from relay.retried as t
    join outbox.seal as s on s.no = t.seal
    join outbox.lineage as g on g.no = s.lineage
    join outbox.message as m on m.id = t.id
    where t.destination = name and t.seal between first and last and t.lane = any (only_lanes) and t.place > after_place
$read_retried$;

comment on function relay.read_retried(text, integer[], bigint, bigint, bigint) is 'Messages of retries of a destination, after a place, in no order.';
