-- The home of a default: how many messages a partition takes.
create function outbox.partition_size() returns bigint
language sql immutable parallel safe
return 1000000;

comment on function outbox.partition_size() is 'Messages in a partition of outbox.message.';
