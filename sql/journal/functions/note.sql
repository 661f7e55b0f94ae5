-- Notes rows that the bound step changed, or a message that it published. Of SERIALIZABLE transactions only.
create function journal.note(segment_id integer default null, operation "char" default null, rows bigint default 0, message_id uuid default null)
returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $note$
declare
    step     constant text := (select b.step_id from journal.bound_session() b);
    notes    jsonb := journal.notes();
    path     constant text[] := array[step, 'rows', segment_id::text, operation::text];
begin
    if step is null or not coalesce(notes ? step, false) then
        return;
    elsif message_id is not null then
        notes := jsonb_set(notes, array[step, 'messages'], coalesce(notes #> array[step, 'messages'], '[]') || to_jsonb(message_id));
    else
        notes := notes || jsonb_build_object(step, coalesce(notes -> step, '{}') || jsonb_build_object('rows',
            coalesce(notes #> path[:2], '{}') || jsonb_build_object(segment_id::text,
                coalesce(notes #> path[:3], '{}') || jsonb_build_object(operation::text, coalesce((notes #>> path)::bigint, 0) + rows))));
    end if;
    perform journal.write_notes(notes);
end
$note$;

comment on function journal.note(integer, "char", bigint, uuid) is 'Notes what the bound step of a SERIALIZABLE transaction did. Private.';
