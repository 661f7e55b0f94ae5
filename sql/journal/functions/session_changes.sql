-- The changes of one session in the order of their statements.
create function journal.session_changes(session_id uuid) returns setof journal.changes
language sql stable
begin atomic
    select c.* from journal.changes c where c.session_id = session_changes.session_id order by c.statement_id;
end;

comment on function journal.session_changes(uuid) is 'Rows of journal.changes of one session, in the order of their statements.';
