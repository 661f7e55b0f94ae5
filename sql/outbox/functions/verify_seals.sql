-- Whether all members of these seals are still there. A dropped partition would otherwise make a replay silently shorter.
create function outbox.verify_seals(first bigint, last bigint) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $verify_seals$
declare
    bad record;
begin
    select s.no, s.members, coalesce(f.found, 0) as found into bad
    from outbox.seal as s
    left join (
        select m.seal, count(*) as found, bit_xor(outbox.hash_of(m.message_id)) as digest
        from outbox.members(first, last) as m group by m.seal
    ) as f on f.seal = s.no
    where s.no between first and last and (s.members, s.digest) <> (coalesce(f.found, 0), coalesce(f.digest, 0))
    order by s.no limit 1;
    if found then
        raise exception using
            errcode = 'RL004',
            message = format('outbox: seal %s names %s messages, %s are there', bad.no, bad.members, bad.found),
            hint = 'messages were deleted before they were delivered: restore them, or start the destination anew from a later seal';
    end if;
end
$verify_seals$;

comment on function outbox.verify_seals(bigint, bigint) is 'Raises SourceRewound when members of these seals are missing.';
