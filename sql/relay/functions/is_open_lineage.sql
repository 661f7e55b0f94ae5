-- The lineage of what is sealed now.
create function relay.is_open_lineage(lineage uuid) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $is_open_lineage$
    select lineage = (select l.lineage_id from outbox.lineage as l order by l.no desc limit 1)
$is_open_lineage$;

comment on function relay.is_open_lineage(uuid) is 'Whether new seals are of this lineage.';
