-- Two sessions may share a transaction when one descends from the other.
create function journal.is_related(one uuid, other uuid) returns boolean
language sql stable
begin atomic
    with recursive up as (
        select s.session_id, s.parent_session_id from journal.session s where s.session_id in (one, other)
        union
        select p.session_id, p.parent_session_id from up join journal.session p on p.session_id = up.parent_session_id
    )
    select one = other or exists (select from up where up.parent_session_id in (one, other));
end;

comment on function journal.is_related(uuid, uuid) is 'Whether one session is the other, or its parent, child or farther descendant.';
