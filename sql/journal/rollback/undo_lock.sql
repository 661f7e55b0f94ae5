-- Locks live rows, key by key, and makes sure that they are still as they were judged: false if not, and the plan must be
-- made again, with the locks kept. Only rows that will be removed or re-keyed need it (their children could change meanwhile);
-- others are guarded by the xmin they were judged with. With thorough, all are locked. It never waits: what others hold is
-- left to undo_lock_first.
create function journal.undo_lock(thorough boolean) returns boolean
language plpgsql volatile
as $undo_lock$
declare
    item record;
begin
    for item in select u.relation, u.removes, u.restored && journal.undo_key_attnums(u.relation) as moves
                  from pg_temp.journal_undo u where u.target is not null order by u.relation
    loop
        if thorough and not journal.undo_lock_rows(item.relation, 'no key update', format('u.status = ''restore'' and not u.restored && %L', journal.undo_key_attnums(item.relation)))
           or (item.removes or item.moves)
              and not journal.undo_lock_rows(item.relation, 'update', format('u.status = ''remove'' or u.status = ''restore'' and u.restored && %L', journal.undo_key_attnums(item.relation))) then
            return false;
        end if;
    end loop;
    return true;
end
$undo_lock$;

comment on function journal.undo_lock(boolean) is
    'Locks the live rows of a rollback; false where they changed since they were judged; JR998 where others hold them. Private.';
