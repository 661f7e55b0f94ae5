-- The UPDATE that restores the given columns, of the rows that changed these and no others, where they are not as they
-- were already (a cascade or a trigger may have been first).
create function journal.undo_update(relation oid, columns int2[], mine text) returns text
language plpgsql stable
as $undo_update$
#variable_conflict use_variable
begin
    return (
        select pg_catalog.format(
                   'update only %1$s t set %2$s from pg_temp.journal_undo_%3$s u where %4$s and %5$s and $barrier$ operator(pg_catalog.>=) 0'
                   ' and array(select c from pg_catalog.unnest(u.changed) c where c operator(pg_catalog.<>) all (%6$L::int2[]) order by c) operator(pg_catalog.=) %7$L::int2[]'
                   ' and pg_catalog.record_image_ne(row(%8$s), row(%9$s)) returning 1',
                   journal.qualified_name(undo_update.relation),
                   pg_catalog.string_agg(pg_catalog.format('%s = %s', c.name, journal.undo_value('u.b' || c.attnum, c.as_text, c.live_type)), ', '),
                   undo_update.relation, mine, journal.undo_key_match(undo_update.relation, 'coalesce(u.b%1$s, u.a%1$s)'),
                   journal.undo_maintained(undo_update.relation), columns,
                   pg_catalog.string_agg(journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type), ', ' order by c.attnum),
                   pg_catalog.string_agg('u.b' || c.attnum, ', ' order by c.attnum))
          from pg_temp.journal_undo_column c
         where c.relation = undo_update.relation and c.attnum = any (columns)
    );
end
$undo_update$;

comment on function journal.undo_update(oid, int2[], text) is 'SQL text that restores the given columns. Private.';
