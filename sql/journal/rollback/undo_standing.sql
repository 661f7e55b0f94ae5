-- The rollbacks of sessions, and the rollbacks of those, that are in effect and do not tell which changes of theirs: they were rolled back in part,
-- or overtaken. Their own changes tell it: what still stands of them is folded together with what they took back.
create function journal.undo_standing(session_ids uuid[]) returns uuid[]
language sql stable
begin atomic
    with recursive unsettled as (
        select r.rollback_id
          from journal.reversal r
         where r.session_id = any (undo_standing.session_ids) and r.rollback_id <> all (undo_standing.session_ids)
           and journal.session_reversed(r.rollback_id) <> 'fully' and not journal.is_settled(r)
        union
        select r.rollback_id
          from unsettled u
          join journal.reversal r on r.session_id = u.rollback_id and r.rollback_id <> all (undo_standing.session_ids)
         where journal.session_reversed(r.rollback_id) <> 'fully' and not journal.is_settled(r)
    )
    select coalesce(pg_catalog.array_agg(u.rollback_id), '{}') from unsettled u;
end;

comment on function journal.undo_standing(uuid[]) is 'Rollbacks whose own changes tell what they still take back. Private.';
