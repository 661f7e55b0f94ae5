-- What became of the columns since: a changed value whose column is gone or has another type cannot be put back exactly,
-- and a row cannot be inserted again where a new column needs a value that no image holds. Nor can what was
-- never recorded (excluded columns).
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
end
$undo_check_columns$;

comment on function journal.undo_check_columns(oid) is 'Turns rows away whose columns are no longer what they were. Private.';
