-- Whether a message that was not cancelled is a member of this seal or of one before it.
create function outbox.sealed_by(seal bigint, id bigint, xid xid8) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $sealed_by$
    select id <= s.max_id and (id <= s.from_id or pg_visible_in_snapshot(xid, s.snap)) and id <> all (s.pending)
    from outbox.seal as s where s.no = seal
$sealed_by$;

comment on function outbox.sealed_by(bigint, bigint, xid8) is 'Whether a message, not cancelled, is sealed by this seal or before.';
