-- The type under a domain, however deep; any other type is its own.
create function journal.base_type(column_type oid) returns oid
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $base_type$
declare
    base oid := column_type;
begin
    while (select t.typtype = 'd' from pg_type t where t.oid = base) loop
        base := (select t.typbasetype from pg_type t where t.oid = base);
    end loop;
    return base;
end
$base_type$;

comment on function journal.base_type(oid) is 'The type under a domain; any other type is its own.';
