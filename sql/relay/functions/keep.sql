-- The home of a default: how long messages are kept after the slowest destination has passed them.
create function relay.keep() returns interval
language sql immutable parallel safe
return interval '7 days';

comment on function relay.keep() is 'How long delivered messages are kept.';
