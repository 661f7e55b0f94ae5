-- Whether somebody holds a session so that no step of it can begin: a rollback of some of its steps, or who closes it.
create function journal.session_is_held(session_id uuid) returns boolean
language plpgsql volatile
as $session_is_held$
begin
    perform from journal.session s where s.session_id = session_is_held.session_id for share of s skip locked;
    return not found and exists (select from journal.session s where s.session_id = session_is_held.session_id);
end
$session_is_held$;

comment on function journal.session_is_held(uuid) is 'Whether no step of a session can begin, because somebody holds it. Private.';
