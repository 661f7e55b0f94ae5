-- CHECK and NOT NULL constraints on the rows as they would be: one that was added since, or one that somebody's later work
-- on other columns makes fail, turns the row away. One that is not valid holds every row that is written, whichever of its columns change. What a row
-- that comes back would have in a column that is new is the server's to say, and so is what a constraint on that column says to it.
create function journal.undo_check_constraints(relation oid) returns bigint
language plpgsql volatile
as $undo_check_constraints$
#variable_conflict use_variable
declare
    plan    record;
    item    record;
    more    bigint;
    total   bigint := 0;
    would   text;
begin
    select * into plan from pg_temp.journal_undo u where u.relation = undo_check_constraints.relation;
    for item in
        select x.conname, x.conkey[1] as culprit, m.attnums, pg_get_expr(x.conbin, x.conrelid) as holds, exists (
                   select from pg_temp.journal_undo_column c
                    where c.relation = undo_check_constraints.relation and c.attnum = any (x.conkey) and c.problem = 'added') as met_new
          from pg_constraint x
         cross join lateral (
               select case when x.convalidated then x.conkey || array(select g.attnum from journal.undo_generated_from(relation) g where g.generated = any (x.conkey))
                           else plan.restored end as attnums) m
         where x.conrelid = relation and x.contype = 'c' and journal.undo_is_enforced(x.oid) and (plan.reinserts or plan.restored && m.attnums)
        union all
        select n.conname, c.attnum, case when n.convalidated is not false then array[c.attnum] else plan.restored end, c.name || ' is not null', c.problem = 'added'
          from pg_temp.journal_undo_column c
          left join pg_constraint n on n.conrelid = c.relation and n.contype = 'n' and n.conkey = array[c.attnum]
         where c.relation = undo_check_constraints.relation and c.not_null and c.key_position is null
           and (n.convalidated is false or c.carried and c.problem is null and (plan.reinserts or c.attnum = any (plan.restored)))
    loop
        would := coalesce(would, journal.undo_rows_as_they_would_be(relation));
        perform journal.undo_catalog_first();
        execute format($check$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = 'constraint_added', constraint_name = %2$L, culprit = %3$s
             where u.row_no in (select r.journal_row_no from (%4$s%5$L) r where not (%6$s)%7$s)$check$,
            relation, item.conname, item.culprit, would, item.attnums, item.holds, case when item.met_new then ' and r.journal_ctid is not null' end);
        get diagnostics more = row_count;
        perform journal.undo_as_caller(false);
        total := total + more;
    end loop;
    return total;
end
$undo_check_constraints$;

comment on function journal.undo_check_constraints(oid) is 'Turns away rows that a constraint would not accept; returns how many. Private.';
