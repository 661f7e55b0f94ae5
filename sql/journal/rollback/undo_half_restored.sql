-- Foreign keys of several columns of which a plan restores some and not all, in rows whose parent's key it puts back too: by ON
-- UPDATE that takes along the columns that are to stay as well. The table that keeps them meanwhile, and as SQL text the rows u it
-- concerns, what is kept of them, how it is put back, and where it has to be.
create function journal.undo_half_restored(relation oid) returns table (keeps text, concerned text, kept text, put_back text, moved text)
language plpgsql stable
as $undo_half_restored$
#variable_conflict use_variable
begin
    return query
    select 'journal_kept_' || f.oid,
           format('u.status operator(pg_catalog.=) ''restore'' and u.restored operator(pg_catalog.&&) %1$L::int2[] and not (%1$L::int2[] operator(pg_catalog.<@) u.restored)', f.child_attnums),
           string_agg(format('t.%s as k%s', c.name, c.attnum), ', ' order by c.attnum),
           string_agg(format('%1$s = case when %2$s operator(pg_catalog.=) any (u.restored) then t.%1$s else k.k%2$s end', c.name, c.attnum), ', ' order by c.attnum),
           string_agg(format('%2$s operator(pg_catalog.<>) all (u.restored) and pg_catalog.record_image_ne(row(t.%1$s), row(k.k%2$s))', c.name, c.attnum), ' or ' order by c.attnum)
      from journal.foreign_keys(relation) f
      join pg_temp.journal_undo p on p.relation = f.parent and p.restored && f.parent_attnums
      join pg_temp.journal_undo_column c on c.relation = f.child and c.attnum = any (f.child_attnums)
     where f.on_update not in ('a', 'r') and f.child = undo_half_restored.relation
       and exists (select from pg_temp.journal_undo_group g
                    where g.relation = f.child and g.status = 'restore' and g.restored && f.child_attnums and not f.child_attnums <@ g.restored)
     group by f.oid, f.child_attnums;
end
$undo_half_restored$;

comment on function journal.undo_half_restored(oid) is 'Foreign keys that a rollback restores in part while it puts their parents back. Private.';
