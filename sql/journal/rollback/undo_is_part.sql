-- Whether steps are to be rolled back and not all of their session, or sessions within another one and not all of that.
create function journal.undo_is_part(session_ids uuid[], step_ids uuid[]) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select step_ids is not null
           or exists (select from journal.session s where s.session_id = any (session_ids) and s.parent_session_id <> all (session_ids));
end;

comment on function journal.undo_is_part(uuid[], uuid[]) is 'Whether only a part of a session, or of a tree of sessions, is rolled back. Private.';
