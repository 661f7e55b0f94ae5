-- Why nothing of a table can be undone, in words.
create function journal.undo_obstacle(obstacle text, table_name text) returns text
language sql immutable
begin atomic
    select case obstacle
           when 'audit_only' then pg_catalog.format('%s is recorded only, not to be undone', table_name)
           when 'images_pruned' then pg_catalog.format('images of %s were dropped by retention', table_name)
           when 'coverage_gap' then pg_catalog.format('%s has rows in a shape that cover has not seen: journal cover %1$s', table_name)
           when 'key_changed' then pg_catalog.format('rows of %s can no longer be told apart by the key that they had', table_name)
           end;
end;

comment on function journal.undo_obstacle(text, text) is 'Why nothing of a table can be undone, in words. Private.';
