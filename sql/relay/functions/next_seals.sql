-- How many of the next seals fit into one read. Not whole: the next seal alone is larger, and is read in parts.
create function relay.next_seals(name text, after_seal bigint, max_members bigint, max_bytes bigint)
returns table (through bigint, whole boolean)
language sql stable
set search_path = pg_catalog, pg_temp
as $next_seals$
    with ahead as (
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
    ), fitting as (
        select max(a.no) as no from ahead as a where a.members <= max_members and a.bytes <= max_bytes
    )
    select coalesce(f.no, after_seal + 1), f.no is not null
    from fitting as f
    where exists (select from ahead)
$next_seals$;

comment on function relay.next_seals(text, bigint, bigint, bigint) is 'The last of the next seals whose members fit the limits together; no row when there is no further seal.';
