-- After all keys and rows are back: the columns that undo_keep remembered, where a parent took them along.
create function journal.undo_put_back_kept(relation oid) returns void
language plpgsql volatile
as $undo_put_back_kept$
#variable_conflict use_variable
declare
    item record;
begin
    for item in select * from journal.undo_half_restored(relation) loop
        perform journal.undo_execute(format(
            'update %s t set %s from pg_temp.journal_undo_%s u join pg_temp.%I k on k.row_no operator(pg_catalog.=) u.row_no where %s and %s and (%s)',
            journal.undo_rows(relation), item.put_back, relation, item.keeps, item.concerned, journal.undo_key_match(relation, 'coalesce(u.b%1$s, u.a%1$s)'), item.moved));
    end loop;
end
$undo_put_back_kept$;

comment on function journal.undo_put_back_kept(oid) is 'Puts back the columns of foreign keys that were to stay. Private.';
