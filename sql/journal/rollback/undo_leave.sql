-- The transaction belongs to nobody again: what a caller writes after a rollback is not part of it.
create function journal.undo_leave() returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $undo_leave$
begin
    perform journal.set_binding(null, null);
    perform set_config('journal.session', '', true);
end
$undo_leave$;

comment on function journal.undo_leave() is 'Unbinds the transaction after a rollback. Private.';
