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
        select i.name, i.attnums, p.attnum, p.parking, c.name as column_name, m.matches
          from journal.unique_columns(relation) i
          join pg_temp.journal_undo u on u.relation = undo_park.relation and u.restored && i.attnums
         cross join lateral (
               select a.attnum, journal.undo_parking(relation, a.attnum, i.nulls_distinct, i.exclusion) as parking
                 from unnest(i.attnums) as a (attnum)
                where a.attnum = any (u.restored) and journal.undo_parking(relation, a.attnum, i.nulls_distinct, i.exclusion) is not null
                order by journal.undo_parking(relation, a.attnum, i.nulls_distinct, i.exclusion) <> 'null'
                limit 1) p
          join pg_temp.journal_undo_column c on c.relation = undo_park.relation and c.attnum = p.attnum
         cross join lateral (
               select string_agg(format(case when i.nulls_distinct then 'x.%1$s %2$s %3$s' else '(x.%1$s %2$s %3$s or x.%1$s is null and (%3$s) is null)' end, k.name, journal.operator_name(o.operator), journal.undo_would_be(relation, o.attnum)), ' and ') as matches
                 from unnest(i.attnums, i.operators) as o (attnum, operator)
                 join pg_temp.journal_undo_column k on k.relation = undo_park.relation and k.attnum = o.attnum) m
         where i.immediate and not i.primary_key
    loop
        perform journal.undo_execute(format(
            'with parked as materialized (
                 select y.row_no from pg_temp.journal_undo_%1$s y join %2$s x on %3$s
                  where y.status operator(pg_catalog.=) ''restore'' and %4$s operator(pg_catalog.=) any (y.restored)
                    and exists (select from pg_temp.journal_undo_%1$s u join %2$s t on %5$s
                                 where u.status operator(pg_catalog.=) ''restore'' and u.restored operator(pg_catalog.&&) %6$L::int2[]
                                   and u.row_no operator(pg_catalog.<>) y.row_no and %7$s))
             update %2$s t set %8$s = %9$s from pg_temp.journal_undo_%1$s u where u.row_no operator(pg_catalog.=) any (array(select row_no from parked)) and %5$s',
            relation, journal.undo_rows(relation), journal.undo_key_match(relation, journal.undo_stands_at(relation, 'y'), 'x'), item.attnum,
            journal.undo_key_match(relation, journal.undo_stands_at(relation)), item.attnums, item.matches, item.column_name, item.parking));
    end loop;
end
$undo_park$;

comment on function journal.undo_park(oid) is 'Moves rows out of each other''s way before unique values are put back. Private.';
