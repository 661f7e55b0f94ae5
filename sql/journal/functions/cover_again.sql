-- Covers a table anew with the options it has: what doctor does about stale coverage and gaps.
create function journal.cover_again(relation regclass) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $cover_again$
declare
    root    constant regclass := coalesce(pg_partition_root(relation), relation);
    options constant journal.covered_table := journal.cover_options(root);
begin
    if options.relation is null then
        return journal.cover(root);
    end if;
    return journal.cover(root, options.writers, options.undo, journal.attribute_names(root, options.excluded),
                         journal.attribute_names(root, options.counters), journal.attribute_names(root, options.maintained),
                         options.on_truncate, options.strict_shape);
end
$cover_again$;

comment on function journal.cover_again(regclass) is 'Covers a table, or the table that a partition belongs to, with the options that it has. Returns what journal.cover returns.';
