-- Foreign keys of several columns of which a plan restores some and not all, in rows whose parent's key it puts back too: ON UPDATE
-- takes the columns along that are to stay as well, and until they are back the row may point at nothing. They are written with the others.
create function journal.undo_widen(relation oid) returns void
language plpgsql volatile
as $undo_widen$
#variable_conflict use_variable
declare
    item    record;
    widened boolean := false;
begin
    for item in
        select f.child_attnums, array_agg(c.attnum) as whole,
               string_agg(format('%3$s%1$s = case when %1$s = any (u.restored) then u.%3$s%1$s else %2$s end', c.attnum, journal.undo_live('t', c.name, c.as_text, c.live_type, c.base_type), side), ', ') as kept
          from journal.undo_foreign_keys(relation) f
          join pg_temp.journal_undo p on p.relation = f.parent and p.restored && f.parent_attnums
          join pg_temp.journal_undo_column c on c.relation = f.child and c.attnum = any (f.child_attnums) and c.carried and c.problem is null and not c.generated and c.key_position is null
         cross join unnest('{b,a}'::text[]) side
         where f.on_update not in ('a', 'r') and f.child = undo_widen.relation
           and exists (select from pg_temp.journal_undo_group g
                        where g.relation = f.child and g.status = 'restore' and g.restored && f.child_attnums and not f.child_attnums <@ g.restored)
         group by f.oid, f.child_attnums
    loop
        execute format('update pg_temp.journal_undo_%1$s u set restored = array(select distinct c from unnest(u.restored || %2$L::int2[]) c order by c), %3$s
                          from %4$s t
                         where u.status = ''restore'' and u.restored && %5$L and not %2$L::int2[] <@ u.restored and %6$s',
                       relation, item.whole, item.kept, journal.undo_rows(relation), item.child_attnums, journal.undo_key_match(relation, 'u.a%1$s'));
        widened := true;
    end loop;
    if widened then
        perform journal.undo_group(relation);
    end if;
end
$undo_widen$;

comment on function journal.undo_widen(oid) is 'Has foreign keys restored whole while their parents are put back. Private.';
