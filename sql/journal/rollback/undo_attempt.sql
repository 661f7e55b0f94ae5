-- Applies the plan in a subtransaction and verifies it. What does not come out as meant is rolled back and handed back:
-- marks for rows that a trigger rewrote (they become conflicts, and the rest may be tried again), or the one constraint
-- or error that stopped it, which no row can be blamed for. JR998: rows changed meanwhile.
create function journal.undo_attempt(out marks jsonb, out failure jsonb)
language plpgsql volatile
as $undo_attempt$
declare
    applied record;
    item  record;
    part  jsonb;
    state text; constraint_name text; schema_name text; table_name text; message text; reason text;
begin
    select * into applied from journal.undo_apply();
    if not applied.complete then
        raise exception using errcode = 'JR998', message = 'rows changed while the rollback planned';
    end if;
    perform journal.undo_progress('verifying');
    perform journal.undo_settle();
    -- what was empty could not be probed before
    update pg_temp.journal_undo u set maintained = journal.undo_probe(u.relation) where u.target is not null and u.reinserts and u.maintained = '{}';
    if applied.verified is not true and journal.undo_verify() > 0 then
        marks := '[]';
        for item in select u.relation from pg_temp.journal_undo u where u.target is not null loop
            execute format('select coalesce(jsonb_agg(jsonb_build_object(''relation'', %1$s, ''row_no'', row_no, ''culprit'', culprit)), ''[]'')
                              from pg_temp.journal_undo_%1$s where reason = ''trigger_rewrote''', item.relation) into part;
            marks := marks || part;
        end loop;
        raise exception using errcode = 'JR999';
    end if;
exception
    when sqlstate 'JR999' then
        perform journal.undo_as_caller(false);
    when integrity_constraint_violation or data_exception or insufficient_privilege or raise_exception or triggered_action_exception or feature_not_supported then
        get stacked diagnostics state = returned_sqlstate, constraint_name = constraint_name, schema_name = schema_name, table_name = table_name, message = message_text;
        if state = '22023' then  -- a fault of ours, not of the data
            raise;
        end if;
        perform journal.undo_as_caller(false);
        reason := case when state = '23505' then 'unique_taken' when state = '23P01' then 'exclusion_taken' when state in ('23503', '23001') then 'referenced_since'
                       when state = '42501' then 'no_privilege' when state in ('23514', '23502') then 'constraint_added'
                       when state like '22%' then 'retyped' else 'trigger_rewrote' end;
        -- what stands in the way is said in the words of the trigger, or of the server, where no constraint says it
        failure := jsonb_build_object(
            'table', case when table_name <> '' then format('%I.%I', schema_name, table_name) end, 'key', null, 'column', null, 'base', null, 'ours', null,
            'theirs', case when constraint_name = '' then message end, 'their', null, 'forced', false, 'constraint', nullif(constraint_name, ''), 'reason', reason, 'also', '[]'::jsonb);
end
$undo_attempt$;

comment on function journal.undo_attempt() is 'Applies and verifies a plan, or leaves no trace of it. Private.';
