-- Old values that are kept as text and may mean something else by now: a label of an enum that was renamed, or whose name another one took since, and
-- a composite type that lost an attribute. They are not written, whatever else there is to say of the row.
create function journal.undo_check_texts(relation oid) returns void
language plpgsql volatile
as $undo_check_texts$
#variable_conflict use_variable
declare
    work    constant text := 'journal_undo_' || relation;
    item    record;
    strange text;
    began   xid8;
begin
    for item in
        select c.attnum, t.typcategory = 'A' as many, e.oid as enum, case when e.oid is null then journal.undo_reordered_by(t.oid) end as reordered_by
          from pg_temp.journal_undo_column c
          join pg_attribute a on a.attrelid = c.relation and a.attnum = c.attnum
          join pg_type t on t.oid = journal.base_type(a.atttypid)
          left join pg_type e on e.oid = journal.base_type(case when t.typcategory = 'A' then t.typelem else t.oid end) and e.typtype = 'e'
         where c.relation = undo_check_texts.relation and c.carried and c.problem is null and c.image_type = 'text' and c.as_text
    loop
        if began is null then
            execute format('select journal.undo_written_by(min(first_statement)) from pg_temp.%I', work) into began;
        end if;
        if item.enum is not null then
            strange := format('exists (select from unnest(%s) x (label)
                                        where x.label is not null and not exists (
                                              select from label l where l.label = x.label and (l.written_by <= $1 or l.written_by <= journal.undo_written_by(u.first_statement))))',
                              case when item.many then '%1$s::text[]' else 'array[%1$s]' end);
        elsif item.reordered_by > began then
            strange := '%1$s is not null and $2 > journal.undo_written_by(u.first_statement)';
        else
            continue;
        end if;
        execute format('with label as materialized (select e.enumlabel::text as label, journal.whole_xid(e.xmin) as written_by from pg_enum e where e.enumtypid = %3$s)
                        update pg_temp.%1$I u set status = ''conflict'', reason = ''retyped'', culprit = %2$s
                         where (kind = ''D'' and status = ''reinsert''
                                or kind = ''U'' and %2$s = any (restored) and (status in (''restore'', ''noop'') or status = ''conflict'' and reason = ''changed_since'')) and %4$s
                            or status = ''conflict'' and reason = ''changed_since'' and culprit = %2$s and %5$s',
                       work, item.attnum, coalesce(item.enum, 0), format(strange, 'u.b' || item.attnum), format(strange, 'u.a' || item.attnum))
          using began, item.reordered_by;
    end loop;
end
$undo_check_texts$;

comment on function journal.undo_check_texts(oid) is 'Turns rows away whose old values may mean something else by now. Private.';
