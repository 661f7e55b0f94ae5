-- Ticks an entry of journal.residue off: somebody has dealt with it.
create function journal.resolve_residue(residue_id uuid, note text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $resolve_residue$
begin
    update journal.residue_item i set resolved_at = clock_timestamp(), resolved_by = session_user, note = resolve_residue.note
     where i.residue_id = resolve_residue.residue_id and i.resolved_at is null;
    return found;
end
$resolve_residue$;

comment on function journal.resolve_residue(uuid, text) is 'Ticks an entry of journal.residue off, with a note; false where it was resolved already or does not exist.';
