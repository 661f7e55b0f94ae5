-- Rows that the rollback removes, that stand under a key which it puts back, and to which nothing refers: they are removed first, so that
-- the key is free and those who follow it can follow.
create function journal.undo_clear_way(relation oid) returns void
language plpgsql volatile
as $undo_clear_way$
#variable_conflict use_variable
declare
    referring text;
    unknown   boolean;
begin
    select string_agg(format(' and not exists (select from %s x where %s)', journal.undo_rows(f.child), journal.undo_refers(f.oid)), ''),
           bool_or(journal.unreadable(f.child) is not null)
      into referring, unknown
      from journal.undo_foreign_keys(relation) f
     where f.parent = undo_clear_way.relation;
    if unknown is not true then
        perform journal.undo_execute(format(
            'with gone as (delete from %1$s t using pg_temp.journal_undo_%2$s y where y.status operator(pg_catalog.=) ''remove'' and y.depth operator(pg_catalog.<=) 1 and %3$s'
            ' and exists (select from pg_temp.journal_undo_%2$s u where u.status operator(pg_catalog.=) ''restore'' and not u.moved and u.restored operator(pg_catalog.&&) %4$L::int2[] and %5$s)%6$s returning y.row_no)'
            ' update pg_temp.journal_undo_%2$s u set moved = true from gone where gone.row_no operator(pg_catalog.=) u.row_no',
            journal.undo_rows(relation), relation, journal.undo_key_match(relation, 'y.a%1$s'), journal.undo_key_attnums(relation),
            journal.undo_list(relation, 'u.b%1$s operator(pg_catalog.=) y.a%1$s', ' and ', 'key'), referring));
    end if;
end
$undo_clear_way$;

comment on function journal.undo_clear_way(oid) is 'Removes rows that stand in the way of keys, where nothing refers to them. Private.';
