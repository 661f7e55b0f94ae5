-- What becomes of the messages of sessions, and of their external effects: taken back for real in the transaction of rollback_id, or predicted where that is
-- null. Those that were sent and have no compensation are residue.
create function journal.undo_messages(session_ids uuid[], step_ids uuid[], rollback_id uuid) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $undo_messages$
declare
    answer jsonb;
    source text := case when rollback_id is null then 'outbox.take_back_plan($1, $2)' else 'outbox.take_back($1, $2, $3)' end;
begin
    if rollback_id is not null then
        perform journal.undo_check_bound(rollback_id);
    end if;
    execute format($messages$
        select jsonb_build_object(
                   'messages', jsonb_build_object('cancel', count(*) filter (where m.outcome = 'cancelled'),
                                                  'compensate', count(*) filter (where m.outcome = 'compensated'),
                                                  'sent', count(*) filter (where m.outcome in ('sent', 'compensated'))),
                   'residue', coalesce(jsonb_agg(jsonb_build_object('kind', 'message', 'message_id', m.message_id, 'topic', m.topic, 'key', m.key,
                                                                    'destinations', m.destinations, 'reason', 'sealed, no compensation declared'))
                                       filter (where m.outcome = 'sent'), '[]'))
          from %s m$messages$, source)
       into answer using session_ids, step_ids, rollback_id;
    return answer || jsonb_build_object('residue', answer -> 'residue' || journal.undo_externals(session_ids, step_ids));
end
$undo_messages$;

comment on function journal.undo_messages(uuid[], uuid[], uuid) is 'What becomes, or became, of the messages of sessions. Private.';
