-- Where a lineage ends: its seals are shared history, whatever a later lineage made of it.
create function relay.last_seal_of(lineage uuid) returns bigint
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $last_seal_of$
    select coalesce(
        (select n.from_seal - 1 from outbox.lineage as n where n.no > l.no order by n.no limit 1),
        (select max(s.no) from outbox.seal as s))
    from outbox.lineage as l where l.lineage_id = lineage
$last_seal_of$;

comment on function relay.last_seal_of(uuid) is 'Number of the last seal of a lineage; null when it is not one of ours.';
