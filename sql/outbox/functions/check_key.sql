-- A key travels in headers: its length is limited for every destination alike.
create function outbox.check_key(key text) returns boolean
language plpgsql immutable strict
as $check_key$
begin
    if key = '' then
        raise exception using
            errcode = 'OX000',
            message = 'outbox: the key is empty',
            hint = 'leave the key out when messages need no order';
    elsif octet_length(key) > 1024 then
        raise exception using
            errcode = 'OX001',
            message = format('outbox: the key is %s bytes long', octet_length(key)),
            hint = 'a key is at most 1,024 bytes long';
    end if;
    return true;
end
$check_key$;

comment on function outbox.check_key(text) is 'True; raises unless the text may be a key. Null is no key.';
