-- One wording for a step that was kept waiting by what holds its session, and not by its key.
create function journal.raise_held(tool text, key text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $raise_held$
begin
    raise exception using
        errcode = 'JR016', message = 'the session of this step is being rolled back in part, or closed',
        hint = 'call again later: no step of the session begins until that has ended',
        detail = jsonb_build_object('tool', tool, 'key', key, 'retry_after', 1);
end
$raise_held$;

comment on function journal.raise_held(text, text) is 'Raises StepInProgress where the session is held. Private.';
