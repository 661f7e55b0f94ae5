-- The end of a report: outcome and exit code, by one rule for every mode.
create function journal.undo_conclude(report jsonb, conflicts jsonb, failure jsonb, on_conflict text, rollback_id uuid, shown integer) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $undo_conclude$
declare
    refused constant boolean := failure is not null or not journal.undo_may_proceed(report, on_conflict);
    -- rows that a rollback before this one left alone, and messages it could not take back, are no work of this one
    again   constant boolean := not exists (select from jsonb_array_elements(report -> 'sessions') s where s ->> 'reversed_before' = 'no');
    idle    constant boolean := (report #>> '{rows,total}')::bigint = (report #>> '{rows,noop}')::bigint
                                    + case when again then (report #>> '{rows,conflict}')::bigint else 0 end
                                and (report #>> '{messages,cancel}')::bigint + case when again then 0 else (report #>> '{messages,sent}')::bigint end = 0
                                and coalesce((report ->> 'keys_reversed')::bigint, 0) + coalesce((report ->> 'receipts_reversed')::bigint, 0) = 0;
    left_over constant boolean := (report #>> '{rows,conflict}')::bigint > 0 or jsonb_array_length(report -> 'residue') > 0;
    outcome constant text := case when refused then 'refused' when idle then 'nothing' when left_over then 'partly' else 'done' end;
    committed constant boolean := report ->> 'mode' = 'apply' and not refused and not idle;
begin
    return report || jsonb_build_object(
        'outcome', case when report ->> 'mode' = 'plan' and outcome <> 'nothing' then 'planned' else outcome end,
        'exit_code', case outcome when 'refused' then 3 when 'nothing' then 4 when 'partly' then 5 else 0 end,
        'committed', committed,
        'rollback_id', case when committed then rollback_id end,
        'redo', case when committed then 'journal rollback --session ' || rollback_id end,
        'finished_at', journal.utc(clock_timestamp()),
        'conflicts', (select coalesce(jsonb_agg(c order by n), '[]') from jsonb_array_elements(conflicts) with ordinality as c (c, n) where n <= shown),
        'conflicts_shown', least(jsonb_array_length(conflicts), shown),
        'residue', (select coalesce(jsonb_agg(r order by n), '[]') from jsonb_array_elements(report -> 'residue') with ordinality as r (r, n) where n <= shown),
        'residue_shown', least(jsonb_array_length(report -> 'residue'), shown));
end
$undo_conclude$;

comment on function journal.undo_conclude(jsonb, jsonb, jsonb, text, uuid, integer) is 'Outcome and exit code of a rollback. Private.';
