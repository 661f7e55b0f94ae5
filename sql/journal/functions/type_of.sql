-- The type of an expression as a constant of the plan: declared immutable on purpose, so that
-- type_of(case when false then column end) folds at plan time and is evaluated anew after every change of the table.
create function journal.type_of(anyelement) returns oid
language plpgsql immutable called on null input
as $type_of$
begin
    return pg_catalog.pg_typeof($1)::oid;
end
$type_of$;

comment on function journal.type_of(anyelement) is 'Type of the argument. Immutable on purpose: folded when a capture statement is planned.';
