-- SQL text: each change of a table by itself, also of rows that a session touched more than once: its statement_id, the row_key that tells it from others
-- of its statement, and the status of its row.
create function journal.undo_each_change(relation oid) returns text
language plpgsql stable
as $undo_each_change$
#variable_conflict use_variable
declare
    row_key constant text := journal.undo_image_key(relation);
begin
    return format('select u.first_statement as statement_id, coalesce(u.image_key, %2$s) as row_key, u.status from pg_temp.journal_undo_%1$s u where u.xmins is null', relation, row_key)
           || case when to_regclass('pg_temp.journal_image_' || relation) is not null then format(
                   ' union all select u.statement_id, %2$s, w.status from pg_temp.journal_image_%1$s u join pg_temp.journal_undo_%1$s w on w.row_no = u.identity'
                   ' where u.images > 1 and not u.standing', relation, row_key) else '' end;
end
$undo_each_change$;

comment on function journal.undo_each_change(oid) is 'SQL text: each change of a table, with the status of its row. Private.';
