-- The home of a default: how long a hold without a time of its own may last. An agent that died never closes its session.
create function outbox.hold_limit() returns interval
language sql immutable parallel safe
return interval '1 hour';

comment on function outbox.hold_limit() is 'Longest time that hold => ''close'' keeps a message back.';
