-- Before keys are put back: what the foreign keys hold that are restored in part.
create function journal.undo_keep(relation oid) returns void
language plpgsql volatile
as $undo_keep$
#variable_conflict use_variable
declare
    item record;
begin
    for item in select * from journal.undo_half_restored(relation) loop
        perform journal.undo_drop(item.keeps);
        execute format('create temporary table %I on commit drop as select u.row_no, %s from pg_temp.journal_undo_%s u join %s t on %s where %s',
                       item.keeps, item.kept, relation, journal.undo_rows(relation), journal.undo_key_match(relation, 'coalesce(u.a%1$s, u.b%1$s)'), item.concerned);
    end loop;
end
$undo_keep$;

comment on function journal.undo_keep(oid) is 'Remembers the columns of foreign keys that are to stay while parents are put back. Private.';
