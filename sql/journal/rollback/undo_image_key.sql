-- SQL text that tells a change of a work table (alias u) from all others of its statement: the key of its row before and after it.
create function journal.undo_image_key(relation oid) returns text
language sql stable
begin atomic
    select pg_catalog.format('pg_catalog.format(''%%s'', row(%s))', journal.undo_list(undo_image_key.relation, 'u.b%1$s, u.a%1$s', ', ', 'key'));
end;

comment on function journal.undo_image_key(oid) is 'SQL text that names one change of a statement. Private.';
