-- A rollback reads under pinned settings, but what it writes runs the user's triggers, and they expect the caller's
-- search_path, time zone and date style.
create function journal.undo_as_caller(yes boolean) returns void
language plpgsql volatile
as $undo_as_caller$
declare
    caller constant pg_catalog.jsonb := pg_catalog.current_setting('journal.caller_settings')::pg_catalog.jsonb;
begin
    perform pg_catalog.set_config('timezone', case when yes then caller ->> 'timezone' else 'UTC' end, true),
            pg_catalog.set_config('datestyle', case when yes then caller ->> 'datestyle' else 'ISO, MDY' end, true),
            pg_catalog.set_config('plan_cache_mode', case when yes then caller ->> 'plan_cache_mode' else 'force_generic_plan' end, true),
            pg_catalog.set_config('search_path', case when yes then caller ->> 'search_path' else 'pg_catalog, pg_temp' end, true);
end
$undo_as_caller$;

comment on function journal.undo_as_caller(boolean) is 'Switches between the caller''s settings and the pinned ones. Private.';
