-- A SERIALIZABLE transaction notes what its steps do while they do it, in a transaction-local setting that only the journal can
-- write. Looking it up in ledger and outbox at the end would lock index pages that every other step writes to, and fail steps
-- that have nothing to do with each other. Null where the setting is not the last that was written: a savepoint was rolled back,
-- or somebody tampered with it; then ledger and outbox are asked.
create function journal.notes() returns jsonb
language plpgsql stable
as $notes$
declare
    written constant text := coalesce(current_setting('journal.notes', true), '');
    notes   constant text := substr(written, 65);
begin
    if written = '' or left(written, 64) is distinct from journal.keyed_digest('notes', notes, pg_current_xact_id_if_assigned()) then
        return null;
    elsif (notes::jsonb ->> 'note_id')::bigint <> currval('journal.note_id') then
        return null;
    end if;
    return notes;
end
$notes$;

comment on function journal.notes() is 'What the open steps of this SERIALIZABLE transaction did so far: {step: {"rows": {segment: {operation: rows}}, "messages": [id]}}; null where it is not known. Private.';
