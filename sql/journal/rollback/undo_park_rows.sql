-- Parks rows, given by their numbers in the work table, at a value of one column. Where the rollback does not restore that column, it is put back with the others.
create function journal.undo_park_rows(relation oid, row_nos bigint[], attnum int2, parking text) returns void
language plpgsql volatile
as $undo_park_rows$
#variable_conflict use_variable
declare
    item    record;
    widened bigint;
begin
    select c.name, c.image_type, c.carried, journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type) as live, journal.undo_key_match(relation, journal.undo_stands_at(relation)) as here into item
      from pg_temp.journal_undo_column c
     where c.relation = undo_park_rows.relation and c.attnum = undo_park_rows.attnum;
    if not item.carried then
        execute format('alter table pg_temp.journal_undo_%1$s add column a%2$s %3$s, add column b%2$s %3$s', relation, attnum, item.image_type);
        update pg_temp.journal_undo_column c set carried = true where c.relation = undo_park_rows.relation and c.attnum = undo_park_rows.attnum;
    end if;
    execute format('update pg_temp.journal_undo_%1$s u set restored = array(select c from unnest(u.restored || %2$L::int2) c order by c), a%2$s = %3$s, b%2$s = %3$s
                      from %4$s t where u.row_no = any ($1) and %2$s <> all (u.restored) and %5$s',
                   relation, attnum, item.live, journal.undo_rows(relation), item.here) using row_nos;
    get diagnostics widened = row_count;
    if widened > 0 then
        perform journal.undo_group(relation);
    end if;
    perform journal.undo_execute(format('update %s t set %s = %s from pg_temp.journal_undo_%s u where u.row_no operator(pg_catalog.=) any (%L) and %s',
                                        journal.undo_rows(relation), item.name, parking, relation, row_nos, item.here));
end
$undo_park_rows$;

comment on function journal.undo_park_rows(oid, bigint[], int2, text) is 'Parks rows at a value of one column. Private.';
