-- Gives the caller's settings back.
create function journal.undo_unpin() returns void
language plpgsql volatile
as $undo_unpin$
begin
    perform pg_catalog.set_config(s.key, s.value, true) from pg_catalog.jsonb_each_text(pg_catalog.current_setting('journal.caller_settings')::pg_catalog.jsonb) s;
end
$undo_unpin$;

comment on function journal.undo_unpin() is 'Gives the caller''s settings back after a rollback. Private.';
