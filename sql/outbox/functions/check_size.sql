-- Said at the source, not at the broker: a message that a registered destination cannot take would stop its lane. No destination
-- is registered that takes less than 64 kB, so small messages look nothing up.
create function outbox.check_size(topic text, bytes bigint) returns boolean
language plpgsql stable
as $check_size$
declare
    size_limit bigint;
begin
    if bytes <= 65536 then
        return true;
    end if;
    size_limit := least(relay.size_limit(topic), 268435456);
    if bytes > size_limit then
        raise exception using
            errcode = 'OX001',
            message = format('outbox: the message is %s bytes long, the limit is %s', bytes, size_limit),
            hint = 'send a reference to the data, or let the destination take larger messages and run its relay again';
    end if;
    return true;
end
$check_size$;

comment on function outbox.check_size(text, bigint) is 'True; raises MessageTooLarge when a registered destination could not take a message of this size.';
