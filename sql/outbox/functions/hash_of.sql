-- The random half of a message id, as a number for the seal's digest.
create function outbox.hash_of(message_id uuid) returns bigint
language sql immutable strict parallel safe
return ('x' || encode(substring(uuid_send(message_id) from 9), 'hex'))::bit(64)::bigint;

comment on function outbox.hash_of(uuid) is 'What a message adds to the digest of its seal.';
