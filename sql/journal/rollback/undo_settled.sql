-- The rollbacks that tell what of sessions and steps is taken back now, but for those that are to be taken back with them: then all of it is
-- undone at once. Not those that were rolled back in part or overtaken: of these, undo_standing.
create function journal.undo_settled(session_ids uuid[]) returns setof journal.reversal
language sql stable
begin atomic
    select r.*
      from journal.reversal r
     where r.session_id = any (undo_settled.session_ids) and r.rollback_id <> all (undo_settled.session_ids)
       and journal.is_settled(r);
end;

comment on function journal.undo_settled(uuid[]) is 'The rollbacks that tell what of sessions is taken back now. Private.';
