-- Refuses a step that is called in a wrong way, before anything runs. One expression finds the fault: plpgsql prepares each of a
-- function's expressions anew in every transaction.
create function journal.check_step(tool text, key text, attempt integer, kind text) returns boolean
language plpgsql immutable
as $check_step$
declare
    fault constant text := case
        when tool is null or octet_length(tool) not between 1 and 512 then 'tool'
        when octet_length(key) not between 1 and 512 then 'key'
        when attempt is null or attempt < 1 then 'attempt'
        when kind not in ('read', 'idempotent', 'reversible', 'compensable', 'irreversible') then 'kind' end;
begin
    case fault
        when 'tool' then
            raise exception using errcode = 'JR013', message = 'a step needs the name of its tool, of 1 to 512 bytes';
        when 'key' then
            raise exception using
                errcode = 'JR014', message = format('the key of a step has 1 to 512 bytes, not %s', octet_length(key)),
                hint = 'name what the effect is about, such as order-42', detail = jsonb_build_object('tool', tool);
        when 'attempt' then
            raise exception using
                errcode = 'JR014', message = 'attempts are counted from 1', detail = jsonb_build_object('tool', tool, 'key', key);
        when 'kind' then
            raise exception using
                errcode = 'JR042', message = format('there is no kind of tool %L', kind),
                hint = 'read, idempotent, reversible, compensable or irreversible';
        else
            return true;
    end case;
end
$check_step$;

comment on function journal.check_step(text, text, integer, text) is 'True, or raises StepError, InvalidKey or UnknownKind. Private.';
