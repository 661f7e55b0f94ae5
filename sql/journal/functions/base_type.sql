-- The type under a domain, however deep; any other type is its own.
create function journal.base_type(column_type oid) returns oid
language plpgsql stable
as $base_type$
declare
    base oid := column_type;
begin
    while (select t.typtype operator(pg_catalog.=) 'd' from pg_catalog.pg_type t where t.oid operator(pg_catalog.=) base) loop
        base := (select t.typbasetype from pg_catalog.pg_type t where t.oid operator(pg_catalog.=) base);
    end loop;
    return base;
end
$base_type$;

comment on function journal.base_type(oid) is 'The type under a domain; any other type is its own.';
