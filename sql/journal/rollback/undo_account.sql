-- Keys and receipts of what was rolled back, in the same transaction as the rows. Sessions that were still open are stopped
-- for good; a rollback that was itself rolled back counts no more. What was taken back before stays with the rollback that did it.
create function journal.undo_account(rollback_id uuid, session_ids uuid[], step_ids uuid[], partly boolean, left_steps uuid[]) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $undo_account$
declare
    reversed record;
    standing constant uuid[] := array(select s from unnest(session_ids) s where journal.session_reversed(s) <> 'fully');
begin
    perform journal.undo_check_bound(rollback_id);
    update journal.rollback r set reversed_by = undo_account.rollback_id
     where r.rollback_id = any (standing) and undo_account.step_ids is null and not undo_account.partly;
    select * into reversed from journal.reverse_steps(standing, undo_account.step_ids, undo_account.rollback_id, undo_account.partly, undo_account.left_steps);
    perform journal.undo_check_attempts(standing);
    update journal.session s
       set status = 'stopped', closed_at = clock_timestamp(), status_reason = format('rolled back by %s', undo_account.rollback_id)
     where s.session_id = any (undo_account.session_ids) and s.status = 'open' and undo_account.step_ids is null;
    return jsonb_build_object('keys_reversed', reversed.keys, 'receipts_reversed', reversed.receipts);
end
$undo_account$;

comment on function journal.undo_account(uuid, uuid[], uuid[], boolean, uuid[]) is 'Marks keys, receipts and sessions as rolled back. Private.';
