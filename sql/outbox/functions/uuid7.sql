-- UUIDv7 (RFC 9562) on PostgreSQL 15 to 18: 48 bits of milliseconds, 12 bits of their fraction, 62 random bits. The time is counted
-- in 4096ths of a millisecond and written as 15 hex digits; the version follows the twelfth. One expression, which is inlined:
-- every step needs two ids, every message one.
create function outbox.uuid7() returns uuid
language sql volatile parallel safe
begin atomic
    select (overlay(lpad(to_hex((date_part('epoch', pg_catalog.clock_timestamp()) * 4096000)::bigint), 15, '0') placing '7' from 13 for 0)
            || substr(gen_random_uuid()::text, 19))::uuid;
end;

comment on function outbox.uuid7() is 'A new UUIDv7: ids rise with time, to the microsecond.';
