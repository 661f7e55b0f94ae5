-- What became of the columns since: a changed value whose column is gone or has another type cannot be put back exactly,
-- and a row cannot be inserted again where a new column needs a value that no image holds. Nor can what was
-- never recorded (excluded columns), or an enum label that was renamed since.
create function journal.undo_check_columns(relation oid) returns void
language plpgsql volatile
as $undo_check_columns$
#variable_conflict use_variable
declare
    work text := 'journal_undo_' || relation;
    item record;
begin
    for item in
        select c.attnum, c.problem, c.not_null and not c.has_default and not c.generated as needed
          from pg_temp.journal_undo_column c
         where c.relation = undo_check_columns.relation and c.problem is not null and (c.carried or c.problem = 'added')
    loop
        if item.problem = 'added' then
            if item.needed then
                execute format('update pg_temp.%I set status = ''refuse'', reason = ''constraint_added'', culprit = %s where status = ''reinsert''', work, item.attnum);
            end if;
            continue;
        end if;
        execute format('update pg_temp.%1$I set status = %2$L, reason = %3$L, culprit = %4$s
                         where status in (''restore'', ''reinsert'') and (%4$s = any (changed) or kind = ''D'' and b%4$s is not null)',
                       work, case item.problem when 'column_dropped' then 'refuse' else 'conflict' end, item.problem, item.attnum);
    end loop;
    execute format('update pg_temp.%I set status = ''conflict'', reason = ''coverage_gap'', culprit = excluded.attnum
                      from (select attnum from pg_temp.journal_undo_column where relation = %s and image_type is null and problem is null and not generated limit 1) excluded
                     where status = ''reinsert''', work, relation);
    for item in
        select c.attnum, t.oid as type
          from pg_temp.journal_undo_column c
          join pg_attribute a on a.attrelid = c.relation and a.attnum = c.attnum
          join pg_type t on t.oid = journal.base_type(a.atttypid) and t.typtype = 'e'
         where c.relation = undo_check_columns.relation and c.carried and c.problem is null
    loop
        execute format('with label as materialized (select e.enumlabel::text as label from pg_enum e where e.enumtypid = %3$s)
                        update pg_temp.%1$I u set status = ''conflict'', reason = ''retyped'', culprit = %2$s
                         where status in (''restore'', ''reinsert'') and (kind = ''D'' or %2$s = any (restored)) and b%2$s not in (select label from label)
                            or status = ''conflict'' and culprit = %2$s and a%2$s not in (select label from label)', work, item.attnum, item.type);
    end loop;
end
$undo_check_columns$;

comment on function journal.undo_check_columns(oid) is 'Turns rows away whose columns are no longer what they were. Private.';
