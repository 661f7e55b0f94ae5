-- Unique and exclusion constraints over plain columns: the value that a row gets back may have been taken. Rows that give
-- the value up in the same rollback do not count. That nobody has the very key of a row that comes back was found when it was judged.
create function journal.undo_check_unique(relation oid) returns bigint
language plpgsql volatile
as $undo_check_unique$
#variable_conflict use_variable
declare
    item  record;
    more  bigint;
    total bigint := 0;
begin
    for item in
        select i.attnums, i.name, i.exclusion, m.*
          from journal.unique_columns(relation) i
         cross join lateral (
               select string_agg(format(case when i.nulls_distinct then 'x.%1$s %2$s %3$s' else '(x.%1$s %2$s %3$s or x.%1$s is null and (%3$s) is null)' end, c.name, journal.operator_name(k.operator), journal.undo_would_be(relation, k.attnum)), ' and ') as taken,
                      bool_and(c.problem is null and c.image_type is not null) as known
                 from unnest(i.attnums, i.operators) as k (attnum, operator)
                 join pg_temp.journal_undo_column c on c.relation = undo_check_unique.relation and c.attnum = k.attnum) m
          join pg_temp.journal_undo u on u.relation = undo_check_unique.relation
         where m.known and (u.reinserts and (not i.primary_key or i.exclusion) or u.restored && i.attnums)
    loop
        execute format($check$
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = %2$L, constraint_name = %3$L, theirs = r.their[1], their_key = r.their[2], their_relation = %1$s
              from (select u.row_no, min(array[%4$s, %10$s]) as their
                      from pg_temp.journal_undo_%1$s u
                      left join %5$s t on %6$s
                      join %5$s x on %7$s and (x.tableoid, x.ctid) is distinct from (t.tableoid, t.ctid)
                     where (u.status = 'reinsert' or u.status = 'restore' and u.restored && %8$L) and not %9$s
                     group by u.row_no) r
             where r.row_no = u.row_no$check$,
            relation, case when item.exclusion then 'exclusion_taken' else 'unique_taken' end, item.name, journal.key_text(relation, 'x'),
            journal.undo_rows(relation), journal.undo_key_match(relation, 'u.a%1$s'), item.taken, item.attnums,
            journal.undo_leaving(relation, item.attnums), journal.live_key(relation, 'x'));
        get diagnostics more = row_count;
        total := total + more;
    end loop;
    return total;
end
$undo_check_unique$;

comment on function journal.undo_check_unique(oid) is 'Turns away rows whose unique values are taken; returns how many. Private.';
