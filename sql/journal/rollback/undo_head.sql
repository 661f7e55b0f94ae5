-- The part of a report that is known before anything is read: where, who, what.
create function journal.undo_head(session_ids uuid[], step_ids uuid[], cascaded uuid[], on_conflict text, mode text, reason text) returns jsonb
language sql volatile
as $undo_head$
    select jsonb_build_object(
        'schema', 'journal.rollback/1', 'mode', mode, 'outcome', null, 'exit_code', null, 'committed', false,
        'database', jsonb_build_object('host', host(inet_server_addr()), 'name', current_database(), 'user', session_user),
        'rollback_id', null, 'reason', reason, 'on_conflict', on_conflict, 'plan_digest', null, 'started_at', journal.utc(clock_timestamp()), 'finished_at', null,
        'sessions', (select jsonb_agg(jsonb_build_object('session_id', m.session_id, 'agent', m.agent, 'task', m.task, 'why', case when m.why = 'named' and m.session_id = any (cascaded) then 'cascade' else m.why end, 'status_before', m.status_before, 'reversed_before', m.reversed_before)
                                      order by m.opened_at, m.session_id)
                       from journal.undo_members(session_ids || cascaded, step_ids is null) m),
        'steps', to_jsonb(step_ids), 'conflicts', '[]'::jsonb, 'conflicts_shown', 0, 'messages', jsonb_build_object('cancel', 0, 'compensate', 0, 'sent', 0),
        'keys_reversed', null, 'receipts_reversed', null, 'notes', '[]'::jsonb, 'residue', '[]'::jsonb, 'residue_shown', 0, 'redo', null)
$undo_head$;

comment on function journal.undo_head(uuid[], uuid[], uuid[], text, text, text) is 'The head of a rollback report. Private.';
