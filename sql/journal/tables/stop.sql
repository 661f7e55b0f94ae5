-- Insert-only marks, committed before a fence is taken: bind refuses on a mark before it asks for its row lock, so
-- overlapping steps cannot starve the rollback that waits for the session row.
create table journal.stop (
    stop_id    bigint generated always as identity primary key,
    session_id uuid,
    agent      text,
    reason     text not null default '',
    stopped_at timestamptz not null default clock_timestamp(),
    db_user    text not null,
    lifted_at  timestamptz,
    check (num_nonnulls(session_id, agent) = 1)
);

create index stop_session on journal.stop (session_id) where session_id is not null;
create index stop_agent on journal.stop (agent) where agent is not null;

comment on table journal.stop is 'Sessions and agents that may not bind any more. Private.';
