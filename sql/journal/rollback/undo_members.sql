-- The sessions that a rollback takes back: those named, and the sessions they opened, and so on.
create function journal.undo_members(session_ids uuid[], with_children boolean)
returns table (session_id uuid, agent text, task text, why text, status_before text, reversed_before text, opened_at timestamptz)
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with recursive member as (
        select s.session_id, 'named' as why from journal.session s where s.session_id = any (undo_members.session_ids)
        union
        select s.session_id, 'child' from member m join journal.session s on s.parent_session_id = m.session_id
         where undo_members.with_children and s.session_id <> all (undo_members.session_ids)
    )
    select v.session_id, v.agent, v.task, m.why, v.status, v.reversed, v.opened_at
      from member m join journal.sessions v using (session_id);
end;

comment on function journal.undo_members(uuid[], boolean) is 'The sessions that a rollback takes back, child sessions included. Private.';
