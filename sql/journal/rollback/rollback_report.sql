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
    report jsonb;
begin
    perform journal.undo_pin();
    report := journal.undo_run(session_ids, step_ids, on_conflict, mode, expected_digest, reason, max_rows, clock_timestamp() + wait, shown);
    perform journal.undo_unpin();
    return report;
end
$rollback_report$;

comment on function journal.rollback_report(uuid[], uuid[], text, text, text, text, bigint, interval, integer) is
    'Plans (mode plan), tries (dry_run, rehearse) or carries out (apply) the rollback of sessions, or of some of their steps, and returns the report. on_conflict: refuse, skip, cascade, force. Raises RollbackBusy, RollbackRefused, PlanChanged, TooManyRows, UnknownSession.';
