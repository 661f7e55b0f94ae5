-- An operator may keep images for a shorter time, but may not wipe them out: that is for the journal's owner.
create function journal.shortest_retention() returns interval
language sql immutable parallel safe
begin atomic
    select interval '1 hour';
end;

comment on function journal.shortest_retention() is 'The shortest time that anybody but the journal''s owner may let journal.prune keep images.';
