-- The UPDATE that restores the given columns, of the rows that changed these and no others. A row is guarded by the xmin it
-- was judged with, unless it is locked; where the rollback itself may have touched it before (a cascade, a trigger), only the
-- difference is written. Of each row it returns whether what was stored is what was meant.
create function journal.undo_update(relation oid, columns int2[], mine text, barrier text) returns text
language plpgsql stable
as $undo_update$
#variable_conflict use_variable
begin
    return (
        select format('update %1$s t set %2$s from pg_temp.journal_undo_%3$s u where %4$s and %5$s and %8$s operator(pg_catalog.>=) 0'
                      ' and u.restored operator(pg_catalog.=) %6$L::int2[] and %7$s returning %9$s as as_meant',
                      journal.undo_rows(relation),
                      string_agg(format('%s = %s', c.name, journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type)), ', '),
                      relation, mine, journal.undo_key_match(relation, journal.undo_stands_at(relation)), columns,
                      case when (select a.thorough from pg_temp.journal_undo_args a)
                           then format('pg_catalog.record_image_ne(row(%s), row(%s))',
                                       string_agg(journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type), ', ' order by c.attnum),
                                       string_agg('u.b' || c.attnum, ', ' order by c.attnum))
                           else 't.xmin operator(pg_catalog.=) u.live_xmin' end, barrier,
                      string_agg(format(case when c.image_type in ('boolean', 'smallint', 'integer', 'bigint', 'uuid', 'date', 'timestamp with time zone')
                                         then 'coalesce(%1$s operator(pg_catalog.=) u.b%2$s, %1$s is null and u.b%2$s is null)' else 'pg_catalog.record_image_eq(row(%1$s), row(u.b%2$s))' end,
                                    journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type), c.attnum), ' and ' order by c.attnum))
          from pg_temp.journal_undo_column c
         where c.relation = undo_update.relation and c.attnum = any (columns)
    );
end
$undo_update$;

comment on function journal.undo_update(oid, int2[], text, text) is 'SQL text that restores the given columns. Private.';
