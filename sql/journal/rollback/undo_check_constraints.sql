-- CHECK and NOT NULL constraints on the rows as they would be: one that was added since, or one that somebody's later work
-- on other columns makes fail, turns the row away.
create function journal.undo_check_constraints(relation oid) returns bigint
language plpgsql volatile
as $undo_check_constraints$
#variable_conflict use_variable
declare
    item    record;
    more    bigint;
    total   bigint;
    touched int2[];
    rows_as_they_would_be text;
begin
    execute format($check$
        update pg_temp.journal_undo_%1$s u
           set status = 'conflict', reason = 'constraint_added', culprit = coalesce(%2$s)
         where u.status in ('restore', 'reinsert') and coalesce(%2$s) is not null$check$,
        relation, (select coalesce(string_agg(format('case when u.b%1$s is null and (u.kind = ''D'' or %1$s = any (u.changed)) then %1$s::int2 end', c.attnum), ', '), 'null::int2')
                     from pg_temp.journal_undo_column c
                    where c.relation = undo_check_constraints.relation and c.not_null and c.image_type is not null and c.problem is null));
    get diagnostics total = row_count;
    execute format('select array_agg(distinct c) from pg_temp.journal_undo_%s u, unnest(case when u.status = ''restore'' then u.changed when u.status = ''reinsert'' then %L end) c',
                   relation, (select array_agg(c.attnum) from pg_temp.journal_undo_column c where c.relation = undo_check_constraints.relation))
       into touched;
    select format('select u.row_no as journal_row_no, %s from pg_temp.journal_undo_%s u left join only %s t on %s where u.status = ''reinsert'' or u.status = ''restore'' and u.changed && ',
                  string_agg(case when c.image_type is not null and c.problem is null
                                  then format('case when u.kind = ''U'' and %s <> all (u.changed) then t.%s else %s end as %2$s', c.attnum, c.name,
                                              journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type))
                                  else format('t.%s as %1$s', c.name) end, ', ' order by c.attnum),
                  relation, journal.qualified_name(relation), journal.undo_key_match(relation, 'u.a%1$s'))
      into rows_as_they_would_be
      from pg_temp.journal_undo_column c
     where c.relation = undo_check_constraints.relation and c.live_type is not null;
    for item in
        select x.conname, x.conkey, pg_catalog.pg_get_expr(x.conbin, x.conrelid) as holds
          from pg_catalog.pg_constraint x
         where x.conrelid = relation and x.contype = 'c' and x.conkey && touched and not exists (
               select from pg_temp.journal_undo_column c where c.relation = undo_check_constraints.relation and c.attnum = any (x.conkey)
                       and (c.generated or c.problem = 'added'))
    loop
        execute format($check$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = 'constraint_added', constraint_name = %2$L, culprit = %3$s
             where u.row_no in (select r.journal_row_no from (%4$s%5$L) r where not (%6$s))$check$,
            relation, item.conname, item.conkey[1], rows_as_they_would_be, item.conkey, item.holds);
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_check_constraints$;

comment on function journal.undo_check_constraints(oid) is 'Turns away rows that a constraint would not accept; returns how many. Private.';
