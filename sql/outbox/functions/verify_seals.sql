-- Whether all members of these seals are still there.
create function outbox.verify_seals(first bigint, last bigint) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $verify_seals$
    with counted as materialized (
        select m.seal, count(*) as found, bit_xor(outbox.hash_of(m.message_id)) as digest
        from outbox.members(first, last) as m group by m.seal
    )
    select outbox.raise_missing(s.no, s.members, coalesce(c.found, 0))
    from outbox.seal as s left join counted as c on c.seal = s.no
    where s.no between first and last and (s.members, s.digest) <> (coalesce(c.found, 0), coalesce(c.digest, 0))
    order by s.no limit 1
$verify_seals$;

comment on function outbox.verify_seals(bigint, bigint) is 'Raises SourceRewound when members of these seals are missing.';
