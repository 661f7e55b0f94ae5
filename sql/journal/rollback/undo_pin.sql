-- Pins what would change the meaning of generated statements or of images kept as text, for the rest of the transaction, and
-- keeps the caller's values to go back to (undo_unpin) and for statements that run the user's triggers (undo_as_caller). Joins get
-- memory, since they are half of a large rollback; compiling statements that run once costs more than it saves.
-- It runs under the caller's search_path until it sets its own, hence the qualified names.
create function journal.undo_pin() returns void
language plpgsql volatile
as $undo_pin$
begin
    perform pg_catalog.set_config('journal.caller_settings', (
        select pg_catalog.jsonb_object_agg(s.name, pg_catalog.current_setting(s.name))
          from pg_catalog.unnest('{search_path,timezone,datestyle,intervalstyle,extra_float_digits,bytea_output,xmlbinary,xmloption,array_nulls,lc_monetary,standard_conforming_strings,transform_null_equals,lock_timeout,default_statistics_target,work_mem,jit,plan_cache_mode}'::pg_catalog.text[]) as s (name))::pg_catalog.text, true);
    perform pg_catalog.set_config(s.name, s.value, true)
       from (values ('search_path', 'pg_catalog, pg_temp'), ('timezone', 'UTC'), ('datestyle', 'ISO, MDY'), ('intervalstyle', 'postgres'), ('extra_float_digits', '1'),
                    ('bytea_output', 'hex'), ('xmlbinary', 'base64'), ('xmloption', 'content'), ('array_nulls', 'on'), ('lc_monetary', 'C'), ('standard_conforming_strings', 'on'), ('transform_null_equals', 'off'), ('jit', 'off'), ('plan_cache_mode', 'force_generic_plan'),
                    ('work_mem', greatest(pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')) / 1024, 65536)::pg_catalog.text)) as s (name, value);
end
$undo_pin$;

comment on function journal.undo_pin() is 'Pins the settings that a rollback depends on. Private.';
