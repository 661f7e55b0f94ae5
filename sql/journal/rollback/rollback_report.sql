-- Plans or carries out a rollback, and reports. One body for plan, dry run, rehearsal and the real thing: all but the last
-- happen in a subtransaction that is rolled back, so what is shown is what would happen. Runs with the caller's rights.
create function journal.rollback_report(
    session_ids     uuid[],
    step_ids        uuid[] default null,
    on_conflict     text default 'refuse',
    mode            text default 'apply',
    expected_digest text default null,
    reason          text default '',
    max_rows        bigint default null,
    wait            interval default '30 s',
    shown           integer default 100
) returns jsonb
language plpgsql volatile
as $rollback_report$
declare
    report      jsonb;
    caller_path constant text := current_setting('search_path');
    settings    constant text[] := array[current_setting('lock_timeout'), current_setting('intervalstyle'), current_setting('extra_float_digits'),
                                         current_setting('bytea_output'), current_setting('datestyle'), current_setting('timezone'),
                                         current_setting('xmlbinary'), current_setting('lc_monetary'), current_setting('default_statistics_target')];
begin
    perform set_config('journal.caller_path', caller_path, true), set_config('search_path', 'pg_catalog, pg_temp', true),
            set_config('intervalstyle', 'postgres', true), set_config('extra_float_digits', '1', true), set_config('bytea_output', 'hex', true),
            set_config('datestyle', 'ISO, MDY', true), set_config('timezone', 'UTC', true), set_config('xmlbinary', 'base64', true),
            set_config('lc_monetary', 'C', true);
    report := journal.undo_run(session_ids, step_ids, on_conflict, mode, expected_digest, reason, max_rows, clock_timestamp() + wait, shown);
    perform set_config('search_path', caller_path, true), set_config('lock_timeout', settings[1], true),
            set_config('intervalstyle', settings[2], true), set_config('extra_float_digits', settings[3], true), set_config('bytea_output', settings[4], true),
            set_config('datestyle', settings[5], true), set_config('timezone', settings[6], true), set_config('xmlbinary', settings[7], true),
            set_config('lc_monetary', settings[8], true),
            set_config('default_statistics_target', settings[9], true);
    return report;
end
$rollback_report$;

comment on function journal.rollback_report(uuid[], uuid[], text, text, text, text, bigint, interval, integer) is
    'Plans (mode plan), tries (dry_run, rehearse) or carries out (apply) the rollback of sessions, or of some of their steps, and returns the report. on_conflict: refuse, skip, cascade, force. Raises RollbackBusy, RollbackRefused, PlanChanged, TooManyRows, UnknownSession.';
