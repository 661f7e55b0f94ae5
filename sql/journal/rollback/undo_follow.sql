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
        select f.confrelid, f.confkey,
               string_agg(format('a%1$s = p.b%2$s::%3$s, b%1$s = case when u.kind = ''U'' then p.b%2$s::%3$s end', k.child, k.parent, c.image_type), ', ') as now,
               string_agg(format('u.a%s = p.a%s', k.child, k.parent), ' and ') as matches
          from pg_constraint f
          join pg_temp.journal_undo u on u.relation = f.confrelid and u.restored && f.confkey
         cross join lateral unnest(f.conkey, f.confkey) as k (child, parent)
          join pg_temp.journal_undo_column c on c.relation = f.conrelid and c.attnum = k.child
         where f.contype = 'f' and f.confupdtype = 'c' and f.confrelid = any (moved) and f.conrelid = undo_follow.relation and f.conkey <@ journal.undo_key_attnums(relation)
         group by f.oid, f.confrelid, f.confkey
    loop
        execute format('update pg_temp.journal_undo_%1$s u set %2$s from pg_temp.journal_undo_%3$s p
                         where (u.status = ''remove'' or u.status = ''restore'' and not u.restored && %4$L) and p.status = ''restore'' and p.restored && %5$L and %6$s',
                       relation, item.now, item.confrelid, journal.undo_key_attnums(relation), item.confkey, item.matches);
    end loop;
end
$undo_follow$;

comment on function journal.undo_follow(oid, oid[]) is 'Follows rows whose key followed the key of a parent. Private.';
