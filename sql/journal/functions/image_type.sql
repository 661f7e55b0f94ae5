-- How a column type is stored in a segment: types of pg_catalog (also under a domain) as themselves and without typmod,
-- all others as the text of their output function, marked by a leading *. So no segment depends on a user's type.
-- The reg* types are stored as text too: pg_upgrade refuses most of them in user tables.
create function journal.image_type(column_type oid) returns text
language sql stable
set quote_all_identifiers = off
begin atomic
    select case when t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace and t.typtype in ('b', 'r', 'm')
                     and t.typname not like any ('{reg%,\\_reg%}')
                then pg_catalog.format_type(t.oid, -1)
                else '*text' end
      from pg_catalog.pg_type t
     where t.oid = journal.base_type(column_type);
end;

comment on function journal.image_type(oid) is
    'Type of the segment columns for a column of the given type; ''*text'' stands for the text of its output function.';
