-- Topics become subjects, keys and file fields: short, printable, no control characters.
create function outbox.check_topic(topic text) returns boolean
language plpgsql immutable strict
as $check_topic$
begin
    if topic = '' or octet_length(topic) > 255 or topic ~ '[[:cntrl:]]' then
        raise exception using
            errcode = 'OX002',
            message = 'outbox: the topic is empty, too long or holds control characters',
            hint = 'a topic is 1 to 255 bytes of printable text';
    end if;
    return true;
end
$check_topic$;

comment on function outbox.check_topic(text) is 'True; raises InvalidTopic unless the text may name a topic. Null is not looked at.';
