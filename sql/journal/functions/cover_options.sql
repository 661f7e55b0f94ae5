-- The options of a covered table, for its owner to cover it again.
create function journal.cover_options(relation regclass) returns journal.covered_table
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select c.* from journal.covered_table c where c.relation = cover_options.relation;
end;

comment on function journal.cover_options(regclass) is 'The options that a table is covered with; null where it is not. Private: call journal.cover_again.';
