-- CHECK and NOT NULL constraints on the rows as they would be: one that was added since, or one that somebody's later work
-- on other columns makes fail, turns the row away.
create function journal.undo_check_constraints(relation oid) returns bigint
language plpgsql volatile
as $undo_check_constraints$
#variable_conflict use_variable
declare
    plan    record;
    item    record;
    more    bigint;
    total   bigint := 0;
    rows_as_they_would_be text;
begin
    select * into plan from pg_temp.journal_undo u where u.relation = undo_check_constraints.relation;
    select format('select u.row_no as journal_row_no, %s from pg_temp.journal_undo_%s u left join %s t on %s where u.status = ''reinsert'' or u.status = ''restore'' and u.restored && ',
                  string_agg(format('%s as %s', journal.undo_would_be(relation, c.attnum), c.name), ', ' order by c.attnum),
                  relation, journal.undo_rows(relation), journal.undo_key_match(relation, 'coalesce(u.a%1$s, u.b%1$s)'))
      into rows_as_they_would_be
      from pg_temp.journal_undo_column c
     where c.relation = undo_check_constraints.relation and c.live_type is not null;
    for item in
        select x.conname, x.conkey, pg_get_expr(x.conbin, x.conrelid) as holds
          from pg_constraint x
         where x.conrelid = relation and x.contype = 'c' and (plan.reinserts or plan.restored && x.conkey) and not exists (
               select from pg_temp.journal_undo_column c where c.relation = undo_check_constraints.relation and c.attnum = any (x.conkey)
                       and (c.generated or c.problem = 'added'))
        union all
        select (select n.conname from pg_constraint n where n.conrelid = c.relation and n.contype = 'n' and n.conkey = array[c.attnum]), array[c.attnum], c.name || ' is not null'
          from pg_temp.journal_undo_column c
         where c.relation = undo_check_constraints.relation and c.not_null and c.carried and c.problem is null and c.key_position is null
           and (plan.reinserts or c.attnum = any (plan.restored))
    loop
        perform set_config('search_path', concat_ws(', ', 'pg_catalog', nullif(current_setting('journal.caller_settings')::jsonb ->> 'search_path', ''), 'pg_temp'), true);
        execute format($check$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = 'constraint_added', constraint_name = %2$L, culprit = %3$s
             where u.row_no in (select r.journal_row_no from (%4$s%5$L) r where not (%6$s))$check$,
            relation, item.conname, item.conkey[1], rows_as_they_would_be, item.conkey, item.holds);
        get diagnostics more = row_count;
        perform journal.undo_as_caller(false);
        total := total + more;
    end loop;
    return total;
end
$undo_check_constraints$;

comment on function journal.undo_check_constraints(oid) is 'Turns away rows that a constraint would not accept; returns how many. Private.';
