-- Whether a table's live columns are still the given attnums. A deliberate lie: declared immutable, so that it runs
-- when a capture statement is planned, and again after every change of the table (plans on transition tables depend
-- on it), at no cost in between. It reads the system cache, not the catalogs: an old snapshot does not fool it.
create function journal.columns_are(relation oid, attnums int2[]) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $columns_are$
declare
    column_name text;
    attnum      int4 := attnums[cardinality(attnums)];
begin
    if exists (
        select from unnest(attnums) as a (n)
        where coalesce((pg_identify_object_as_address('pg_class'::regclass, relation, a.n)).object_names[3], '........pg.dropped.')
              like '........pg.dropped.%'
    ) then
        return false;
    end if;
    loop
        attnum := attnum + 1;
        column_name := (pg_identify_object_as_address('pg_class'::regclass, relation, attnum)).object_names[3];
        if column_name is null then
            return true;
        elsif column_name not like '........pg.dropped.%' then
            return false;
        end if;
    end loop;
end
$columns_are$;

comment on function journal.columns_are(oid, int2[]) is
    'Whether these are exactly the live columns of the relation, by the system cache. Immutable on purpose: folded when a capture statement is planned.';
