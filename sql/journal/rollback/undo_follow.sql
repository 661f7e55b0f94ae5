-- Where the rollback put a parent's key back, cascades have moved its children. Children that are to be removed or restored and
-- whose own key followed are looked for under their new key from here on. moved: the tables whose keys have been put back.
create function journal.undo_follow(relation oid, moved oid[]) returns void
language plpgsql volatile
as $undo_follow$
#variable_conflict use_variable
declare
    item record;
begin
    for item in
        select f.parent, f.parent_attnums, f.child_part,
               string_agg(format('a%1$s = p.b%2$s::%3$s, b%1$s = case when u.kind = ''U'' then p.b%2$s::%3$s end', k.child, k.parent, c.image_type), ', ') as now,
               string_agg(format('u.a%s = p.a%s', k.child, k.parent), ' and ') as matches
          from journal.undo_foreign_keys(relation) f
          join pg_temp.journal_undo u on u.relation = f.parent and u.restored && f.parent_attnums
         cross join lateral unnest(f.child_attnums, f.parent_attnums) as k (child, parent)
          join pg_temp.journal_undo_column c on c.relation = f.child and c.attnum = k.child
         where f.on_update = 'c' and f.parent = any (moved) and f.parent_attnums <@ journal.undo_key_attnums(f.parent) and f.child = undo_follow.relation and f.child_attnums <@ journal.undo_key_attnums(relation)
         group by f.oid, f.parent, f.parent_attnums, f.child_part
    loop
        execute format('update pg_temp.journal_undo_%1$s u set %2$s from pg_temp.journal_undo_%3$s p
                         where (u.status = ''remove'' or u.status = ''restore'' and not u.restored && %4$L) and p.status = ''restore'' and p.restored && %5$L and %6$s and %7$s',
                       relation, item.now, item.parent, journal.undo_key_attnums(relation), item.parent_attnums, item.matches,
                       journal.undo_lands_in(item.child_part, relation, 'u.a%1$s'));
    end loop;
end
$undo_follow$;

comment on function journal.undo_follow(oid, oid[]) is 'Follows rows whose key followed the key of a parent. Private.';
