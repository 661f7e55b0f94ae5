-- Marks a session, and the sessions it opened, so that they cannot bind any more. Waits for nobody: a step that is running may
-- still commit.
create function journal.stop_session(session_id uuid, reason text default '') returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $stop_session$
begin
    if not exists (select from journal.session s where s.session_id = stop_session.session_id) then
        perform journal.raise_unknown_session(stop_session.session_id);
    end if;
    insert into journal.stop (session_id, reason, db_user)
    with recursive down as (
        select s.session_id, s.status from journal.session s where s.session_id = stop_session.session_id
        union
        select c.session_id, c.status from down join journal.session c on c.parent_session_id = down.session_id
    )
    select down.session_id, coalesce(stop_session.reason, ''), session_user
      from down
     where down.status = 'open'
       and not exists (select from journal.stop p where p.session_id = down.session_id and p.lifted_at is null);
end
$stop_session$;

comment on function journal.stop_session(uuid, text) is
    'Stops a session and its child sessions for good: from the commit on they bind no more. One that is not open stays as it is. Raises UnknownSession.';
