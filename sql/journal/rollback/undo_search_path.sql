-- A rollback reads under a pinned search_path, but what it writes runs the user's triggers, and they expect the caller's.
-- The caller's path is kept in a transaction-local setting by rollback_report.
create function journal.undo_search_path(of_caller boolean) returns void
language sql volatile
begin atomic
    select pg_catalog.set_config('search_path', case when of_caller then pg_catalog.current_setting('journal.caller_path') else 'pg_catalog, pg_temp' end, true);
end;

comment on function journal.undo_search_path(boolean) is 'Switches between the caller''s search_path and the pinned one. Private.';
