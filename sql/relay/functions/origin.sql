-- What tells the outbox of this database from every other: the first lineage. Made by the first seal.
create function relay.origin() returns uuid
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $origin$
    select l.lineage_id from outbox.lineage as l order by l.no limit 1
$origin$;

comment on function relay.origin() is 'Identity of this outbox over all its lineages; null before the first seal.';
