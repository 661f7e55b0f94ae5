-- Whether the server holds a constraint. From version 18 on it may be told not to; before, there is no column that says so.
create function journal.undo_is_enforced(constraint_id oid) returns boolean
language sql stable
begin atomic
    select pg_catalog.pg_get_constraintdef(constraint_id) not like '% NOT ENFORCED';
end;

comment on function journal.undo_is_enforced(oid) is 'Whether a constraint is enforced. Private.';
