-- The rollbacks of the given sessions, the rollbacks of those, and so on.
create function journal.undo_family(session_ids uuid[]) returns uuid[]
language sql stable
begin atomic
    with recursive family as (
        select r.rollback_id from journal.rollback r where r.session_ids && undo_family.session_ids
        union
        select r.rollback_id from journal.rollback r join family f on r.session_ids @> array[f.rollback_id]
    )
    select coalesce(pg_catalog.array_agg(f.rollback_id), '{}') from family f;
end;

comment on function journal.undo_family(uuid[]) is 'The rollbacks of sessions, and the rollbacks of those. Private.';
