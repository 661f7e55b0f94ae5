-- A message that was set aside was found at the destination: the append of a slow relay arrived. While its key waits, the key goes on;
-- after a retry the retried one stays out. Nothing of the key was passed over meanwhile, or that append would have been refused.
create function relay.note_arrival(name text, seal bigint, place bigint, message_id uuid) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $note_arrival$
begin
    perform outbox.commit_durably();
    perform from relay.park as p
    where p.destination = name and p.message_id = note_arrival.message_id for update;
    insert into relay.arrival (destination, id, seal, place)
    select name, m.id, note_arrival.seal, note_arrival.place from outbox.message as m where m.message_id = note_arrival.message_id
    on conflict do nothing;
    delete from relay.park as p
    where p.destination = name and p.message_id = note_arrival.message_id
      and (p.until_seal is null or p.until_seal = p.seal);
end
$note_arrival$;

comment on function relay.note_arrival(text, bigint, bigint, uuid) is 'Records that a message that was set aside is stored at the destination.';
