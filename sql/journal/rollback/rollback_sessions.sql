-- Rolls sessions back in the caller's transaction, or raises. The sessions must be stopped or closed. What is raised ends in the
-- server's log: it holds no value of a row.
create function journal.rollback_sessions(
    session_ids     uuid[],
    on_conflict     text default 'refuse',
    expected_digest text default null,
    reason          text default '',
    max_rows        bigint default null,
    step_ids        uuid[] default null,
    wait            interval default '30 s'
) returns uuid
language plpgsql volatile
as $rollback_sessions$
declare
    report constant jsonb := journal.rollback_report(session_ids, step_ids, on_conflict, 'apply', expected_digest, reason, max_rows, wait);
    told   constant jsonb := journal.without_values(report);
begin
    if report ->> 'outcome' = 'refused' then
        raise exception using
            errcode = case when (report #>> '{rows,refuse}')::bigint > 0 then 'JR035' else 'JR034' end,
            message = format('%s of %s rows stand in the way; nothing changed',
                             greatest(1, (report #>> '{rows,conflict}')::bigint + (report #>> '{rows,refuse}')::bigint), report #>> '{rows,total}'),
            hint = 'journal.plan_rollback lists them with their values; on_conflict => ''skip'' leaves them as they are',
            detail = jsonb_build_object('plan', told, 'conflicts', told -> 'conflicts',
                                        'reasons', (select jsonb_agg(distinct c -> 'reason') from jsonb_array_elements(report -> 'conflicts') c));
    end if;
    return (report ->> 'rollback_id')::uuid;
end
$rollback_sessions$;

comment on function journal.rollback_sessions(uuid[], text, text, text, bigint, uuid[], interval) is
    'Rolls sessions (or some of their steps) back in the caller''s transaction. Returns the rollback''s id, null when there was nothing to do. Raises RollbackConflict, RollbackRefused, RollbackBusy, PlanChanged, TooManyRows, UnknownSession.';
