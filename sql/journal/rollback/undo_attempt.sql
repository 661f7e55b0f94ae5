-- Applies the plan in a subtransaction and verifies it. What does not come out as meant is rolled back and handed back:
-- marks for rows that a trigger rewrote (they become conflicts, and the rest may be tried again), or the one constraint
-- or error that stopped it, which no row can be blamed for. JR998: rows changed meanwhile.
create function journal.undo_attempt(out marks jsonb, out failure jsonb)
language plpgsql volatile
as $undo_attempt$
declare
    item  record;
    part  jsonb;
    state text; constraint_name text; schema_name text; table_name text; message text;
begin
    if not journal.undo_apply() then
        raise exception using errcode = 'JR998', message = 'rows changed while the rollback planned';
    end if;
    perform journal.undo_progress('verifying');
    perform journal.undo_settle();
    -- what was empty could not be probed before
    update pg_temp.journal_undo u set maintained = journal.undo_probe(u.relation) where u.target is not null and u.reinserts and u.maintained = '{}';
    if journal.undo_verify() > 0 then
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
        perform journal.undo_as_caller(false);
        failure := jsonb_build_object(
            'table', case when table_name <> '' then format('%I.%I', schema_name, table_name) end, 'key', null, 'column', null, 'base', null, 'ours', null, 'theirs', null, 'their', null,
            'constraint', nullif(constraint_name, ''),
            'reason', case state when '23505' then 'unique_taken' when '23P01' then 'exclusion_taken' when '23503' then 'referenced_since' when '23001' then 'referenced_since'
                                 when '42501' then 'no_privilege' when '23514' then 'constraint_added' when '23502' then 'constraint_added'
                                 else case when state like '22%' then 'retyped' else 'trigger_rewrote' end end);
end
$undo_attempt$;

comment on function journal.undo_attempt() is 'Applies and verifies a plan, or leaves no trace of it. Private.';
