-- Locks some rows of one table in the order of their keys and says whether all are still as they were judged.
create function journal.undo_lock_rows(relation oid, strength text, which text) returns boolean
language plpgsql volatile
as $undo_lock_rows$
declare
    unchanged boolean;
begin
    execute format($lock$
        with wanted as materialized (
            select * from pg_temp.journal_undo_%2$s u where %4$s
        ), locked as materialized (
            select t.xmin as now_xmin, u.live_xmin from %1$s t join wanted u on %3$s order by %5$s for %6$s of t
        )
        select (select count(*) from locked where now_xmin = live_xmin) = (select count(*) from wanted)$lock$,
        journal.undo_rows(relation), relation, journal.undo_key_match(relation, 'u.a%1$s'), which, journal.undo_list(relation, 't.%2$s', ', ', 'key'), strength)
       into unchanged;
    return unchanged;
end
$undo_lock_rows$;

comment on function journal.undo_lock_rows(oid, text, text) is 'Locks some rows of one table. Private.';
