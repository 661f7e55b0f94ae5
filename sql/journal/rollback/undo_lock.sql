-- Locks live rows, key by key, and makes sure that they are still as they were judged: false if not, and the plan must be
-- made again. Only rows that will be removed or re-keyed need it (their children could change meanwhile); others are guarded
-- by the xmin they were judged with. With thorough, all are locked. Each attempt waits less than deadlock_timeout, so that
-- the rollback yields and a live writer is never the victim; what it locked is given back before it tries again.
create function journal.undo_lock(thorough boolean, deadline timestamptz) returns boolean
language plpgsql volatile
as $undo_lock$
declare
    item record;
begin
    loop
        begin
            perform set_config('lock_timeout', journal.undo_patience(deadline), true);
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
        exception when lock_not_available or deadlock_detected then
            perform journal.undo_busy(deadline, array(select u.relation from pg_temp.journal_undo u));
        end;
    end loop;
end
$undo_lock$;

comment on function journal.undo_lock(boolean, timestamptz) is
    'Locks the live rows of a rollback; false where they changed since they were judged; raises RollbackBusy at the deadline. Private.';
