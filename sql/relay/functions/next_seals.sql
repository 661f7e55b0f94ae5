-- How many of the next seals fit into one read. Not whole: the next seal alone is larger, and is read in parts.
create function relay.next_seals(name text, after_seal bigint, max_members bigint, max_bytes bigint)
returns table (through bigint, whole boolean)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $next_seals$
begin
    if not exists (select from outbox.seal as s where s.no > after_seal) then
        return;
    end if;
    select max(a.no) into through
    from (
        select s.no, sum(s.members + coalesce(t.members, 0)) over upto as members, sum(s.bytes + coalesce(t.bytes, 0)) over upto as bytes
        from (
            select n.no, n.kind, n.members, n.bytes from outbox.seal as n where n.no > after_seal order by n.no limit 1000
        ) as s
        left join lateral (
            select count(*) as members, sum(m.bytes) as bytes
            from relay.retried as r join outbox.message as m on m.id = r.id
            where s.kind = 'retry' and r.destination = name and r.seal = s.no
        ) as t on true
        window upto as (order by s.no)
    ) as a
    where a.members <= max_members and a.bytes <= max_bytes;
    whole := through is not null;
    through := coalesce(through, after_seal + 1);
    return next;
end
$next_seals$;

comment on function relay.next_seals(text, bigint, bigint, bigint) is 'The last of the next seals whose members fit the limits together; no row when there is no further seal.';
