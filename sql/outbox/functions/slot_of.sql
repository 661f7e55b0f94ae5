-- The first 12 bits of sha256: fixed at insert, the same on every version (Postgres promises that of none of its own hashes).
create function outbox.slot_of(key text) returns smallint
language sql immutable strict parallel safe
return ('x' || left(encode(sha256(convert_to(key, 'UTF8')), 'hex'), 3))::bit(12)::int::smallint;

comment on function outbox.slot_of(text) is 'The slot of a key, 0 to 4095; a lane is slot modulo lanes.';
