-- Refuses a step that is called in a wrong way, before anything runs. One expression, which is inlined: each step asks.
create function journal.check_step(tool text, key text, attempt integer, kind text) returns boolean
language sql immutable
begin atomic
    select case
        when octet_length(tool) between 1 and 512 and coalesce(octet_length(key), 1) between 1 and 512 and attempt >= 1
             and coalesce(kind, 'read') in ('read', 'idempotent', 'reversible', 'compensable', 'irreversible') then true
        else journal.refuse_step(tool, key, attempt, kind) end;
end;

comment on function journal.check_step(text, text, integer, text) is 'True, or raises StepError, InvalidKey or UnknownKind. Private.';
