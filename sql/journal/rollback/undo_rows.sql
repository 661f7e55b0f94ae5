-- The rows of a table as generated SQL reads and writes them: partitions belong to it, tables that inherit from it do not.
create function journal.undo_rows(relation oid) returns text
language sql stable
begin atomic
    select case when c.relkind = 'p' then '' else 'only ' end || journal.qualified_name(c.oid) from pg_catalog.pg_class c where c.oid = undo_rows.relation;
end;

comment on function journal.undo_rows(oid) is 'SQL text: a table with its partitions, without its heirs. Private.';
