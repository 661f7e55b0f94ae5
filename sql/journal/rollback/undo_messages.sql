-- Adds to a report what becomes of the messages of sessions, and of their external effects: taken back for real in the transaction of rollback_id, or predicted
-- where that is null. Those that were sent and have no compensation are residue; those of what is left whole stay, which is noted.
create function journal.undo_messages(report jsonb, session_ids uuid[], step_ids uuid[], rollback_id uuid, left_steps uuid[], left_transactions xid8[]) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $undo_messages$
declare
    answer jsonb;
    source text := case when rollback_id is null then 'outbox.take_back_plan($1, $2, $4, $5)' else 'outbox.take_back($1, $2, $3, $4, $5)' end;
begin
    if rollback_id is not null then
        perform journal.undo_check_bound(rollback_id);
    end if;
    execute format($messages$
        select jsonb_build_object(
                   'messages', jsonb_build_object('cancel', count(*) filter (where m.outcome = 'cancelled'),
                                                  'compensate', count(*) filter (where m.outcome = 'compensated'),
                                                  'sent', count(*) filter (where m.outcome in ('sent', 'compensated'))),
                   'notes', coalesce(jsonb_agg(distinct jsonb_build_object('kind', 'message', 'name', m.topic, 'reason', 'stays: all rows of its step are left as they are'))
                                     filter (where m.outcome = 'kept'), '[]'),
                   'residue', coalesce(jsonb_agg(jsonb_build_object('kind', 'message', 'message_id', m.message_id, 'topic', m.topic, 'key', m.key,
                                                                    'destinations', m.destinations, 'reason', 'sealed, no compensation declared'))
                                       filter (where m.outcome = 'sent'), '[]'))
          from %s m$messages$, source)
       into answer using session_ids, step_ids, rollback_id, left_steps, left_transactions;
    return report || answer || jsonb_build_object('notes', (report -> 'notes') || (answer -> 'notes'),
                                                  'residue', (answer -> 'residue') || journal.undo_externals(session_ids, step_ids, left_steps));
end
$undo_messages$;

comment on function journal.undo_messages(jsonb, uuid[], uuid[], uuid, uuid[], xid8[]) is 'What becomes, or became, of the messages of sessions. Private.';
