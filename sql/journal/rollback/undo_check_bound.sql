-- What marks keys, receipts and messages as taken back may do so only in the transaction, and under the id, of a rollback that it
-- is bound to.
create function journal.undo_check_bound(rollback_id uuid) returns void
language plpgsql volatile
as $undo_check_bound$
begin
    if not exists (select from journal.bound_session() b join journal.session s using (session_id)
                    where b.session_id = undo_check_bound.rollback_id and s.kind = 'rollback')
       or exists (select from journal.rollback r where r.rollback_id = undo_check_bound.rollback_id) then
        raise exception using errcode = '42501', message = 'only a rollback may mark what it takes back', hint = 'call journal.rollback';
    end if;
end
$undo_check_bound$;

comment on function journal.undo_check_bound(uuid) is 'Raises unless the transaction is bound to this rollback. Private.';
