-- For expressions of the user's that pg_get_expr printed under the pinned search_path: what functions in them look up is found on
-- the caller's, while the operators of our own text stay those of pg_catalog.
create function journal.undo_catalog_first() returns void
language sql volatile
begin atomic
    select pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', 'pg_catalog',
               nullif(pg_catalog.current_setting('journal.caller_settings')::jsonb ->> 'search_path', ''), 'pg_temp'), true);
end;

comment on function journal.undo_catalog_first() is 'Sets the search_path under which expressions of constraints are run. Private.';
