-- Unique and exclusion constraints that are not deferrable are checked row by row, so rows that swap their values, or shift
-- them, stand in each other's way inside one UPDATE. Those whose values another row is to get back are parked first.
create function journal.undo_park(relation oid) returns void
language plpgsql volatile
as $undo_park$
#variable_conflict use_variable
declare
    item   record;
    parked bigint[];
begin
    for item in
        select i.name, i.attnums, p.attnum, p.parking, m.would, m.matches
          from journal.unique_columns(relation) i
          join pg_temp.journal_undo u on u.relation = undo_park.relation and u.restored && i.attnums
         cross join lateral journal.undo_parked(relation, i.attnums, i.nulls_distinct, i.empties) p
         cross join lateral (
               select string_agg(format('%s as journal_%s', journal.undo_would_be(relation, o.attnum), o.attnum), ', ') as would,
                      string_agg(format(case when i.nulls_distinct then 'x.%1$s %2$s w.journal_%3$s' else '(x.%1$s %2$s w.journal_%3$s or x.%1$s is null and w.journal_%3$s is null)' end, k.name, journal.operator_name(o.operator), o.attnum), ' and ') as matches
                 from unnest(i.attnums, i.operators) as o (attnum, operator)
                 join pg_temp.journal_undo_column k on k.relation = undo_park.relation and k.attnum = o.attnum) m
         where i.immediate and not i.primary_key
    loop
        execute format(
            'with w as materialized (
                 select u.row_no as journal_row_no, t.tableoid as journal_tableoid, t.ctid as journal_ctid, %3$s
                   from pg_temp.journal_undo_%1$s u join %2$s t on %4$s
                  where u.status = ''restore'' and u.restored && %5$L
             ), taken as materialized (
                 select x.tableoid, x.ctid from w join %2$s x on %6$s
                  where not (x.tableoid = w.journal_tableoid and x.ctid = w.journal_ctid)
             )
             select array_agg(y.journal_row_no) from w y where (y.journal_tableoid, y.journal_ctid) in (select k.tableoid, k.ctid from taken k)',
            relation, journal.undo_rows(relation), item.would,
            journal.undo_key_match(relation, journal.undo_stands_at(relation)), item.attnums, item.matches) into parked;
        if parked is not null then
            perform journal.undo_park_rows(relation, parked, item.attnum, item.parking);
        end if;
    end loop;
end
$undo_park$;

comment on function journal.undo_park(oid) is 'Moves rows out of each other''s way before unique values are put back. Private.';
