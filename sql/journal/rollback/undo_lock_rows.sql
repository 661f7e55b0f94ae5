-- Locks some rows of one table in the order of their keys and says whether all are still as they were judged. Where others
-- hold some, it raises JR998: the detail lists statements that lock those, to be run first in the next attempt.
create function journal.undo_lock_rows(relation oid, strength text, which text) returns boolean
language plpgsql volatile
as $undo_lock_rows$
declare
    target    constant text := journal.undo_rows(relation);
    source    constant text := format('%s t join (select u.* from pg_temp.journal_undo_%s u where %s) u on %s', target, relation, which, journal.undo_key_match(relation, 'u.a%1$s'));
    locking   constant text := format('order by %s for %s of t skip locked', journal.undo_list(relation, 't.%2$s', ', ', 'key'), strength);
    unchanged boolean;
    missing   boolean;
    held      jsonb;
begin
    execute format($lock$
        with locked as materialized (select t.xmin as now_xmin, u.live_xmin from %1$s %2$s)
        select count(*) filter (where now_xmin = live_xmin) = wanted.n, count(locked.live_xmin) < wanted.n
          from (select count(*) as n from pg_temp.journal_undo_%3$s u where %4$s) wanted left join locked on true
         group by wanted.n$lock$, source, locking, relation, which)
       into unchanged, missing;
    if missing then
        execute format($held$
            with locked as materialized (select u.row_no from %1$s %2$s)
            select jsonb_agg(format(%3$L, %4$s)) from (select u.* from %1$s where u.row_no not in (select row_no from locked) limit 100) u$held$,
            source, locking,
            format('select t.xmin from %s t join (select %s) u on %s for %s of t', replace(target, '%', '%%'),
                   journal.undo_list(relation, '%%L::%3$s as a%1$s', ', ', 'key'), replace(journal.undo_key_match(relation, 'u.a%1$s'), '%', '%%'), strength),
            journal.undo_list(relation, 'u.a%1$s::text', ', ', 'key'))
           into held;
        if held is not null then
            raise exception using errcode = 'JR998', message = 'others hold rows that the rollback needs', detail = held;
        end if;
    end if;
    return unchanged;
end
$undo_lock_rows$;

comment on function journal.undo_lock_rows(oid, text, text) is 'Locks some rows of one table, or tells by JR998 which of them others hold. Private.';
