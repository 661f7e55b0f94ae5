-- Writes the capture function of one relation. Whoever may execute it can put it behind a trigger that shows it other rows: nobody may.
create function journal.write_capture(capture journal.capture, segment journal.segment, options journal.covered_table) returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $write_capture$
begin
    execute format('create or replace function journal.%I() returns trigger language plpgsql security definer
                    set search_path = pg_catalog, pg_temp set jit = off%s as %L',
                   'capture_' || capture.capture_id,
                   case when exists (select from unnest(segment.image_types) t where t like '*%') then journal.pinned_settings() else '' end,
                   journal.capture_body(capture, segment, options));
    execute format('revoke all on function journal.%I() from public', 'capture_' || capture.capture_id);
    execute format('comment on function journal.%I() is %L', 'capture_' || capture.capture_id,
                   format('Records changes of %s. Private.', journal.qualified_name(capture.relation)));
    return format('journal.%I', 'capture_' || capture.capture_id);
end
$write_capture$;

comment on function journal.write_capture(journal.capture, journal.segment, journal.covered_table) is 'Writes the capture function of one relation; returns its name.';
