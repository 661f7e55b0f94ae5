-- Unique indexes that are partial, or over expressions or generated columns, and exclusion constraints like them: what the rows would have in the index after the
-- rollback is computed from their columns as they would be, and looked up in the index. Rows that give the place up in the same
-- rollback do not count; they are told outside of the lookup, where they are joined once and not once for each row.
create function journal.undo_check_unique_index(relation oid) returns bigint
language plpgsql volatile
as $undo_check_unique_index$
#variable_conflict use_variable
declare
    item  record;
    more  bigint;
    total bigint := 0;
    would text;
begin
    if not journal.undo_has_computed(relation) then
        return 0;
    end if;
    for item in
        select i.*
          from journal.unique_expressions(relation) i
          join pg_temp.journal_undo u on u.relation = undo_check_unique_index.relation
         where (u.reinserts or u.restored && i.attnums) and not exists (
               select from pg_temp.journal_undo_column c where c.relation = undo_check_unique_index.relation and c.attnum = any (i.attnums)
                       and (c.generated or c.problem is not null or c.image_type is null))
    loop
        would := coalesce(would, journal.undo_rows_as_they_would_be(relation));
        perform journal.undo_catalog_first();
        execute format($check$
            with w as materialized (
                select r.journal_row_no, r.journal_tableoid, r.journal_ctid, %4$s from (%5$s%6$L) r where %7$s
            )
            update pg_temp.journal_undo_%1$s u
               set status = 'conflict', reason = %2$L, constraint_name = %3$L, theirs = r.their[1], their_key = r.their[2], their_relation = %1$s
              from (select w.journal_row_no, min(array[%8$s, %9$s]) as their
                      from w
                     cross join lateral (
                           select x.*, x.tableoid, x.ctid from %10$s x
                            where %7$s and %11$s and (x.tableoid, x.ctid) is distinct from (w.journal_tableoid, w.journal_ctid)) x
                     where not %12$s
                     group by w.journal_row_no) r
             where r.journal_row_no = u.row_no$check$,
            relation, case when item.exclusion then 'exclusion_taken' else 'unique_taken' end, item.name,
            item.computed, would, item.attnums, item.predicate,
            journal.key_text(relation, 'x'), journal.live_key(relation, 'x'), journal.undo_rows(relation), item.same,
            journal.undo_leaving(relation, item.attnums));
        get diagnostics more = row_count;
        perform journal.undo_as_caller(false);
        total := total + more;
    end loop;
    return total;
end
$undo_check_unique_index$;

comment on function journal.undo_check_unique_index(oid) is 'Turns away rows whose place in a partial or expression index is taken; returns how many. Private.';
