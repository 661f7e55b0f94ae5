-- Unique and exclusion constraints that are not deferrable are checked row by row, so rows that swap their values, or shift
-- them, stand in each other's way inside one UPDATE. Those whose values another row is to get back are parked first.
create function journal.undo_park(relation oid) returns void
language plpgsql volatile
as $undo_park$
#variable_conflict use_variable
declare
    item record;
begin
    for item in
        select i.name, i.attnums, p.attnum, p.parking, c.name as column_name, m.would, m.matches
          from journal.unique_columns(relation) i
          join pg_temp.journal_undo u on u.relation = undo_park.relation and u.restored && i.attnums
         cross join lateral (
               select a.attnum, journal.undo_parking(relation, a.attnum, i.nulls_distinct, i.exclusion) as parking
                 from unnest(i.attnums) as a (attnum)
                where a.attnum = any (u.restored) and a.attnum <> all (journal.undo_key_attnums(relation)) and journal.undo_parking(relation, a.attnum, i.nulls_distinct, i.exclusion) is not null
                order by journal.undo_parking(relation, a.attnum, i.nulls_distinct, i.exclusion) <> 'null'
                limit 1) p
          join pg_temp.journal_undo_column c on c.relation = undo_park.relation and c.attnum = p.attnum
         cross join lateral (
               select string_agg(format('%s as journal_%s', journal.undo_would_be(relation, o.attnum), o.attnum), ', ') as would,
                      string_agg(format(case when i.nulls_distinct then 'x.%1$s %2$s w.journal_%3$s' else '(x.%1$s %2$s w.journal_%3$s or x.%1$s is null and w.journal_%3$s is null)' end, k.name, journal.operator_name(o.operator), o.attnum), ' and ') as matches
                 from unnest(i.attnums, i.operators) as o (attnum, operator)
                 join pg_temp.journal_undo_column k on k.relation = undo_park.relation and k.attnum = o.attnum) m
         where i.immediate and not i.primary_key
    loop
        perform journal.undo_execute(format(
            'with w as materialized (
                 select u.row_no as journal_row_no, t.tableoid as journal_tableoid, t.ctid as journal_ctid, %4$s operator(pg_catalog.=) any (u.restored) as journal_moves, %3$s
                   from pg_temp.journal_undo_%1$s u join %2$s t on %5$s
                  where u.status operator(pg_catalog.=) ''restore'' and u.restored operator(pg_catalog.&&) %6$L::int2[]
             ), taken as materialized (
                 select x.tableoid, x.ctid from w join %2$s x on %7$s
                  where not (x.tableoid operator(pg_catalog.=) w.journal_tableoid and x.ctid operator(pg_catalog.=) w.journal_ctid)
             ), parked as materialized (
                 select y.journal_row_no from w y join taken k on k.tableoid operator(pg_catalog.=) y.journal_tableoid and k.ctid operator(pg_catalog.=) y.journal_ctid
                  where y.journal_moves)
             update %2$s t set %8$s = %9$s from pg_temp.journal_undo_%1$s u where u.row_no operator(pg_catalog.=) any (array(select journal_row_no from parked)) and %5$s',
            relation, journal.undo_rows(relation), item.would, item.attnum,
            journal.undo_key_match(relation, journal.undo_stands_at(relation)), item.attnums, item.matches, item.column_name, item.parking));
    end loop;
end
$undo_park$;

comment on function journal.undo_park(oid) is 'Moves rows out of each other''s way before unique values are put back. Private.';
