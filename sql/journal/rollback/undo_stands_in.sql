-- Condition: the live row (alias) of a table stands in a given part of it.
create function journal.undo_stands_in(part oid, relation oid, alias text) returns text
language sql stable
begin atomic
    select case when part = relation then 'true'
                else pg_catalog.format('%s.tableoid operator(pg_catalog.=) any (%L::oid[])', alias,
                                       array(select part union select p.relid from pg_catalog.pg_partition_tree(part) p)) end;
end;

comment on function journal.undo_stands_in(oid, oid, text) is 'SQL text: a live row stands in a part of its table. Private.';
