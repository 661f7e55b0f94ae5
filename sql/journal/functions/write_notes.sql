-- Writes what is noted of the open steps of this transaction, so that nobody else can.
create function journal.write_notes(notes jsonb) returns boolean
language plpgsql volatile
as $write_notes$
declare
    written constant text := notes || jsonb_build_object('note_id', nextval('journal.note_id'));
begin
    return set_config('journal.notes', journal.keyed_digest('notes', written, pg_current_xact_id()) || written, true) is not null;
end
$write_notes$;

comment on function journal.write_notes(jsonb) is 'Replaces the notes of this transaction. True. Private.';
