-- Rows of the rollback that refer to a key which goes back before they do hold it: no foreign key lets it go. Where the reference may be null they let go of it
-- until their own turn comes. Tried only when it did not go without.
create function journal.undo_release(relation oid) returns void
language plpgsql volatile
as $undo_release$
#variable_conflict use_variable
declare
    item record;
begin
    for item in
        select f.child, f.parent_attnums, journal.undo_refers(f.oid) as refers, c.attnums, c.emptied
          from journal.undo_foreign_keys(relation) f
          join pg_temp.journal_undo p on p.relation = f.parent and p.restored && f.parent_attnums and not p.inline
          join pg_temp.journal_undo u on u.relation = f.child and u.target is not null and u.restored && f.child_attnums
          join pg_constraint x on x.oid = f.oid and x.confmatchtype = 's'
         cross join lateral (
               select array_agg(c.attnum) as attnums, string_agg(format('%1$s = case when %2$s operator(pg_catalog.=) any (u.restored) then null else x.%1$s end', c.name, c.attnum), ', ') as emptied
                 from pg_temp.journal_undo_column c
                where c.relation = f.child and c.attnum = any (f.child_attnums) and c.attnum = any (u.restored) and not c.not_null and not c.generated and c.key_position is null
                  and not exists (select from journal.undo_foreign_keys(f.child) g where g.parent = f.child and c.attnum = any (g.parent_attnums) and g.on_update not in ('a', 'r'))) c
         where f.parent = undo_release.relation and f.on_update in ('a', 'r') and c.emptied is not null
    loop
        perform journal.undo_execute(format(
            'update %1$s x set %2$s from pg_temp.journal_undo_%3$s u, %4$s t, pg_temp.journal_undo_%5$s y'
            ' where u.status operator(pg_catalog.=) ''restore'' and u.restored operator(pg_catalog.&&) %6$L::int2[] and %7$s and %8$s'
            ' and y.status operator(pg_catalog.=) ''restore'' and y.restored operator(pg_catalog.&&) %9$L::int2[] and %10$s',
            journal.undo_rows(item.child), item.emptied, item.child, journal.undo_rows(relation), relation, item.attnums,
            journal.undo_key_match(item.child, 'u.a%1$s', 'x'), item.refers, item.parent_attnums, journal.undo_key_match(relation, 'y.a%1$s')));
    end loop;
end
$undo_release$;

comment on function journal.undo_release(oid) is 'Lets go of keys that are put back before what refers to them. Private.';
