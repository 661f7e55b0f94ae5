-- Why a step that check_step does not let pass is called in a wrong way.
create function journal.refuse_step(tool text, key text, attempt integer, kind text) returns boolean
language plpgsql immutable
as $refuse_step$
begin
    if tool is null or octet_length(tool) not between 1 and 512 then
        raise exception using
            errcode = 'JR013', message = 'a step needs the name of its tool, of 1 to 512 bytes', hint = 'such as refund';
    elsif octet_length(key) not between 1 and 512 then
        raise exception using
            errcode = 'JR014', message = format('the key of a step has 1 to 512 bytes, not %s', octet_length(key)),
            hint = 'name what the effect is about, such as order-42', detail = jsonb_build_object('tool', tool);
    elsif attempt is null or attempt < 1 then
        raise exception using
            errcode = 'JR014', message = 'attempts are counted from 1',
            hint = 'leave it out, or pass next_attempt of the error', detail = jsonb_build_object('tool', tool, 'key', key);
    end if;
    raise exception using
        errcode = 'JR042', message = format('there is no kind of tool %L', kind),
        hint = 'read, idempotent, reversible, compensable or irreversible';
end
$refuse_step$;

comment on function journal.refuse_step(text, text, integer, text) is 'Raises StepError, InvalidKey or UnknownKind. Private: journal.check_step asks.';
