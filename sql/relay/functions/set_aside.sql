-- A message that the destination refused alone and for good. Only for the holder of the lane's epoch; a message that was tried
-- before keeps its history. False: the lane was lost.
create function relay.set_aside(name text, lane integer, epoch bigint, seal bigint, place bigint, message_id uuid, error text)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $set_aside$
declare
    policy text;
    earlier relay.park;
begin
    perform from relay.lane as l
    where l.destination = name and l.lane = set_aside.lane and l.epoch = set_aside.epoch for no key update;
    if not found then
        return false;
    end if;
    perform outbox.commit_durably();   -- delivery goes on past this message
    select d.on_refusal into policy from relay.destination as d where d.destination = name;
    select p.* into earlier from relay.park as p
    where p.destination = name and p.message_id = set_aside.message_id order by p.seal desc limit 1;
    insert into relay.park (destination, lane, seal, place, until_seal, message_id, topic, key, attempts, error, first_failed_at, disposition)
    select name, set_aside.lane, set_aside.seal, set_aside.place, case policy when 'dead-letter' then set_aside.seal end,
           m.message_id, m.topic, m.key, coalesce(earlier.attempts, 0) + 1, left(set_aside.error, 2000),
           coalesce(earlier.first_failed_at, clock_timestamp()), case policy when 'dead-letter' then 'dead_letter' else 'parked' end
    from outbox.message as m where m.message_id = set_aside.message_id
    on conflict on constraint park_pkey do nothing;
    return true;
end
$set_aside$;

comment on function relay.set_aside(text, integer, bigint, bigint, bigint, uuid, text) is
    'Parks a refused message with its key, or makes it a dead letter; false when the lease was lost.';
