-- SQL text, up to the set of columns that matters: the rows that a rollback restores in one of these columns, or inserts again, as they would be, with
-- their number in the work table (journal_row_no) and the place of the live row (journal_tableoid, journal_ctid), which stands here. Generated columns
-- are generated anew.
create function journal.undo_rows_as_they_would_be(relation oid, here text default 'coalesce(u.a%1$s, u.b%1$s)') returns text
language plpgsql stable
as $undo_rows_as_they_would_be$
#variable_conflict use_variable
declare
    stored constant text := (select string_agg(format('%s as %s', journal.undo_would_be(relation, c.attnum), c.name), ', ' order by c.attnum)
                               from pg_temp.journal_undo_column c
                              where c.relation = undo_rows_as_they_would_be.relation and c.live_type is not null and not c.generated);
begin
    return (
        select format('select u.row_no as journal_row_no, t.tableoid as journal_tableoid, t.ctid as journal_ctid, %s from pg_temp.journal_undo_%s u left join %s t on %s'
                      ' where u.status = ''reinsert'' or u.status = ''restore'' and u.restored && ',
                      concat_ws(', ', stored, string_agg(format('(select %s from (select %s) journal_stored) as %s', pg_get_expr(g.adbin, g.adrelid), stored, c.name), ', ' order by c.attnum)),
                      relation, journal.undo_rows(relation), journal.undo_key_match(relation, here))
          from pg_temp.journal_undo_column c
          join pg_attrdef g on g.adrelid = c.relation and g.adnum = c.attnum
         where c.relation = undo_rows_as_they_would_be.relation and c.live_type is not null and c.generated);
end
$undo_rows_as_they_would_be$;

comment on function journal.undo_rows_as_they_would_be(oid, text) is 'SQL text: the rows of a table after the rollback, but for the columns that matter. Private.';
