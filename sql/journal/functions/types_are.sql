-- The second half of the shape check (see columns_are): raises, because a value of another type must never be
-- coerced into an image.
create function journal.types_are(segment integer, relation oid, expected oid[], actual oid[]) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $types_are$
begin
    if expected <> actual then
        perform journal.raise_stale(relation);
    end if;
    return true;
end
$types_are$;

comment on function journal.types_are(integer, oid, oid[], oid[]) is
    'True, or raises StaleCoverage. Immutable on purpose: folded when a capture statement is planned.';
