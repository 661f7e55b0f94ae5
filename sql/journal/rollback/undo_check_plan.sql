-- Refuses a plan that is not the one that was shown, or is larger than allowed.
create function journal.undo_check_plan(report jsonb, expected_digest text, max_rows bigint, executing boolean) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $undo_check_plan$
declare
    rows constant bigint := (report #>> '{rows,total}')::bigint;
begin
    if expected_digest is not null and expected_digest <> report ->> 'plan_digest' then
        raise exception using
            errcode = 'JR036', message = 'the plan is no longer the one that was shown: rows have changed since; nothing was changed',
            hint = 'look at the plan again, and pass its digest', detail = jsonb_build_object('plan', report);
    elsif executing and rows > max_rows then
        raise exception using
            errcode = 'JR038', message = format('the plan has %s rows, more than the %s allowed; nothing changed', rows, max_rows),
            hint = 'raise max_rows (--max-rows) if that is meant', detail = jsonb_build_object('plan', report, 'rows', rows, 'max_rows', max_rows);
    end if;
end
$undo_check_plan$;

comment on function journal.undo_check_plan(jsonb, text, bigint, boolean) is 'Raises PlanChanged or TooManyRows. Private.';
