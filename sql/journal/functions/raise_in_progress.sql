-- One wording for a key whose step is running elsewhere.
create function journal.raise_in_progress(tool text, key text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $raise_in_progress$
begin
    raise exception using
        errcode = 'JR016', message = 'another caller is running the step of this key',
        hint = 'call again with the same key: that returns its result, or runs the step if the other call failed',
        detail = jsonb_build_object('tool', tool, 'key', key, 'retry_after', 1);
end
$raise_in_progress$;

comment on function journal.raise_in_progress(text, text) is 'Raises StepInProgress. Private.';
