-- Whether all members of these seals are still there. Count and digest of the whole span are compared first: a plan that is made once
-- serves for one message and for thousands.
create function outbox.verify_seals(first bigint, last bigint) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $verify_seals$
declare
    named bigint;
    named_digest bigint;
    present bigint;
    present_digest bigint;
begin
    select sum(s.members), bit_xor(s.digest) into named, named_digest from outbox.seal as s where s.no between first and last;
    select count(*), coalesce(bit_xor(outbox.hash_of(m.message_id)), 0) into present, present_digest
    from outbox.members(first, last) as m;
    if (named, named_digest) <> (present, present_digest) then
        perform outbox.raise_missing(s.no, s.members, coalesce(c.found, 0))
        from outbox.seal as s
        left join (
            select m.seal, count(*) as found, bit_xor(outbox.hash_of(m.message_id)) as digest
            from outbox.members(first, last) as m group by m.seal
        ) as c on c.seal = s.no
        where s.no between first and last and (s.members, s.digest) <> (coalesce(c.found, 0), coalesce(c.digest, 0))
        order by s.no;
    end if;
end
$verify_seals$;

comment on function outbox.verify_seals(bigint, bigint) is 'Raises SourceRewound when members of these seals are missing.';
