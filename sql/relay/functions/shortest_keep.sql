-- An operator may keep delivered messages for a shorter time, but not take them from a consumer that has just been restored: that
-- is for the owner.
create function relay.shortest_keep() returns interval
language sql immutable parallel safe
return interval '1 hour';

comment on function relay.shortest_keep() is 'The shortest time that anybody but the owner of the schema relay may let relay.prune keep delivered messages.';
