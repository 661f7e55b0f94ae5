-- rollback_sessions for one session.
create function journal.rollback(
    session_id      uuid,
    on_conflict     text default 'refuse',
    expected_digest text default null,
    reason          text default '',
    max_rows        bigint default null,
    step_ids        uuid[] default null,
    wait            interval default '30 s'
) returns uuid
language sql volatile
as $rollback$
    select journal.rollback_sessions(array[session_id], on_conflict, expected_digest, reason, max_rows, step_ids, wait)
$rollback$;

comment on function journal.rollback(uuid, text, text, text, bigint, uuid[], interval) is
    'Rolls a stopped or closed session back in the caller''s transaction. Returns the rollback''s id, null when there was nothing to do; see journal.rollback_sessions.';
