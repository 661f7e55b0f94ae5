-- Runs a statement that writes to the user's tables under the caller's search_path, for the user's triggers. The text is
-- fully qualified, operators included.
create function journal.undo_execute(statement text) returns void
language plpgsql volatile
as $undo_execute$
begin
    perform journal.undo_as_caller(true);
    execute statement;
    perform journal.undo_as_caller(false);
end
$undo_execute$;

comment on function journal.undo_execute(text) is 'Runs a writing statement of a rollback under the caller''s search_path. Private.';
