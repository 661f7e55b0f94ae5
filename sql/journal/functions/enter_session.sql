-- Whether a session may be bound now. Its stop marks are looked for in the statement that locks it, before the lock is asked for,
-- so overlapping steps cannot starve a rollback; the lock waits for a rollback, and fails where a snapshot is too old to see its
-- outcome.
create function journal.enter_session(session_id uuid) returns journal.session
language plpgsql volatile
as $enter_session$
declare
    entered journal.session;
begin
    select s.* into entered from journal.session s
     where s.session_id = enter_session.session_id
       and not exists (select from journal.stop p where p.session_id = s.session_id and p.lifted_at is null)
       and not exists (select from journal.stop p where p.agent = s.agent and p.lifted_at is null)
       for share of s;
    if entered.status = 'open' and entered.db_user = session_user then
        return entered;
    end if;
    perform journal.refuse_stopped(s.session_id, s.agent) from journal.session s where s.session_id = enter_session.session_id;
    perform journal.refuse_session(enter_session.session_id, entered);
    return null;
end
$enter_session$;

comment on function journal.enter_session(uuid) is 'Locks an open session of the caller''s for the transaction. Private: call journal.bind.';
