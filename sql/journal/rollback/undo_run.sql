-- The course of a rollback: admit, fence, plan, decide, carry out, account. Whatever is not to stay is rolled back with the
-- subtransaction that ends in JR999 (not JR000: that would catch the whole class); the report survives in a variable.
create function journal.undo_run(session_ids uuid[], step_ids uuid[], on_conflict text, mode text, expected_digest text, reason text,
                                 max_rows bigint, deadline timestamptz, shown integer) returns jsonb
language plpgsql volatile
as $undo_run$
declare
    report     jsonb;
    members    uuid[];
    cascaded   uuid[] := '{}';
    rollback   uuid;
    conflicts  jsonb;
    lost       jsonb;
    failure    jsonb;
    residue    jsonb;
    untouched  record;
    thorough   boolean := false;
    first      text[] := '{}';
    held       text;
    executing  constant boolean := mode <> 'plan';
begin
    perform journal.undo_admit(session_ids, step_ids, on_conflict, mode);
    if on_conflict = 'cascade' then
        cascaded := journal.undo_cascade(session_ids, step_ids);
    end if;
    members := array(select m.session_id from journal.undo_members(session_ids || cascaded, step_ids is null) m);
    begin
        if executing then
            perform journal.undo_fence(members, step_ids is null and mode = 'apply', false, deadline);
            rollback := journal.undo_enter(reason);
        end if;
        report := journal.undo_head(session_ids, step_ids, cascaded, on_conflict, mode, reason);
        loop  -- until an attempt meets nobody: one that does gives back what it locked, and the next locks that first
            begin
                perform journal.undo_lock_first(first, deadline);
                loop
                    exit when journal.undo_prepare(members, step_ids, on_conflict, executing, thorough);
                end loop;
                report := report || journal.undo_counts() || jsonb_build_object('plan_digest', journal.undo_digest());
                perform journal.undo_check_plan(report, expected_digest, max_rows, executing);
                lost := case when on_conflict = 'force' then journal.undo_conflicts(shown, true) else '[]' end;
                exit when not executing or not journal.undo_may_proceed(report, on_conflict);
                perform journal.undo_progress('writing');
                failure := journal.undo_carry_out(on_conflict);
                report := report || journal.undo_counts();
                exit;
            exception when sqlstate 'JR998' or lock_not_available or deadlock_detected then
                get stacked diagnostics held = pg_exception_detail;
                if starts_with(held, '[') then
                    first := array(select distinct s.statement from (select unnest(first) union all select jsonb_array_elements_text(held::jsonb)) as s (statement) order by 1);
                end if;
                thorough := true;
                perform journal.undo_busy(deadline, case when clock_timestamp() >= deadline then array(select r.relation from journal.undo_relations(members, step_ids) r) end);
            end;
        end loop;
        update pg_temp.journal_undo_args set rollback_id = rollback;
        conflicts := lost || journal.undo_conflicts(case when mode = 'apply' and on_conflict = 'skip' then null else shown end, false) || coalesce(failure, '[]'::jsonb);
        select * into untouched from journal.undo_left_whole();
        if executing and failure is null and journal.undo_may_proceed(report, on_conflict) then
            perform journal.undo_fence(members, false, true, deadline);
            report := journal.undo_messages(report, members, step_ids, rollback, untouched.steps, untouched.transactions);
            perform journal.undo_left(rollback);
            report := report || journal.undo_account(rollback, members, step_ids, (report #>> '{rows,conflict}')::bigint > 0, untouched.steps);
        else
            report := journal.undo_messages(report, members, step_ids, null, untouched.steps, untouched.transactions);
            if mode = 'plan' and journal.undo_may_proceed(report, on_conflict) then
                report := report || (select jsonb_build_object('keys_reversed', e.keys, 'receipts_reversed', e.receipts) from journal.steps_in_effect(members, step_ids, untouched.steps) e);
            end if;
        end if;
        report := jsonb_set(report, '{residue}', report -> 'residue' || journal.undo_large_objects());
        residue := report -> 'residue';
        report := journal.undo_conclude(report, conflicts, failure, on_conflict, rollback, shown);
        if mode = 'apply' and (report ->> 'committed')::boolean then
            perform journal.undo_record(report, step_ids, conflicts, residue);
            perform journal.undo_leave();
        else
            raise exception using errcode = 'JR999';
        end if;
    exception when sqlstate 'JR999' then
        perform journal.undo_as_caller(false);
    end;
    return report;
end
$undo_run$;

comment on function journal.undo_run(uuid[], uuid[], text, text, text, text, bigint, timestamptz, integer) is 'The course of a rollback. Private: call journal.rollback_report.';
