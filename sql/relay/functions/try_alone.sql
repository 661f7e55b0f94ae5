-- Written before a message is appended by itself, because relays ended here without a word: whoever comes after a further one knows
-- which message it was. Counting begins anew with each message.
create function relay.try_alone(name text, lane integer, epoch bigint, message_id uuid, careful_from integer) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $try_alone$
begin
    update relay.lane as l
    set trying = try_alone.message_id,
        crashes = case when l.trying = try_alone.message_id then l.crashes else careful_from end
    where l.destination = name and l.lane = try_alone.lane and l.epoch = try_alone.epoch;
    return found;
end
$try_alone$;

comment on function relay.try_alone(text, integer, bigint, uuid, integer) is
    'Notes the message that is appended by itself; false when the lease was lost.';
