-- UUIDv7 (RFC 9562) on PostgreSQL 15 to 18: 48 bits of milliseconds, 12 bits of their fraction, 62 random bits.
create function outbox.uuid7() returns uuid
language plpgsql volatile parallel safe
as $uuid7$
declare
    micros constant bigint := extract(epoch from pg_catalog.clock_timestamp()) * 1000000;
    head constant bigint := ((micros / 1000) << 16) | 28672 | ((micros % 1000) * 4096 / 1000);   -- 28672: version 7
begin
    return pg_catalog.encode(overlay(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) placing pg_catalog.int8send(head) from 1 for 8), 'hex')::uuid;
end
$uuid7$;

comment on function outbox.uuid7() is 'A new UUIDv7: ids rise with time, to the microsecond.';
