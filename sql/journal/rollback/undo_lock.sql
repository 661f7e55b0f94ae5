-- Locks the live rows of a rollback, table by table and key by key. Each attempt waits less than deadlock_timeout, so that
-- the rollback yields and a live writer is never the victim; what it locked is given back before it tries again.
create function journal.undo_lock(deadline timestamptz) returns void
language plpgsql volatile
as $undo_lock$
declare
    item record;
begin
    loop
        begin
            perform pg_catalog.set_config('lock_timeout', journal.undo_patience(deadline), true);
            for item in select * from pg_temp.journal_undo u where u.target is not null order by u.relation loop
                execute format('select from only %s t join pg_temp.journal_undo_%s u on %s where u.kind = ''U'' and not u.changed && %L order by %s for no key update of t',
                               item.target, item.relation, journal.undo_key_match(item.relation, 'u.a%1$s'), journal.undo_key_attnums(item.relation),
                               journal.undo_list(item.relation, 't.%2$s', ', ', 'key'));
                execute format('select from only %s t join pg_temp.journal_undo_%s u on %s where u.kind = ''I'' or u.kind = ''U'' and u.changed && %L order by %s for update of t',
                               item.target, item.relation, journal.undo_key_match(item.relation, 'u.a%1$s'), journal.undo_key_attnums(item.relation),
                               journal.undo_list(item.relation, 't.%2$s', ', ', 'key'));
            end loop;
            return;
        exception when lock_not_available or deadlock_detected then
            perform journal.undo_busy(deadline, array(select u.relation from pg_temp.journal_undo u));
        end;
    end loop;
end
$undo_lock$;

comment on function journal.undo_lock(timestamptz) is 'Locks the live rows of a rollback, or raises RollbackBusy at the deadline. Private.';
