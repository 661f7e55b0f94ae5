-- A tail of another lineage was written by somebody else.
create function relay.knows_lineage(lineage uuid) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $knows_lineage$
    select exists (select from outbox.lineage as l where l.lineage_id = lineage)
$knows_lineage$;

comment on function relay.knows_lineage(uuid) is 'Whether a lineage is one of this outbox.';
