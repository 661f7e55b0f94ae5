-- The messages that a step of the running transaction published, in order: as the outbox has them, or as it was noted.
create function journal.step_messages(step_id uuid, noted jsonb) returns jsonb
language plpgsql stable
as $step_messages$
begin
    if noted is not null then
        return coalesce(noted -> 'messages', '[]');
    end if;
    return coalesce(
        (select jsonb_agg(m.message_id order by m.id) from outbox.message m
          where m.xid = pg_current_xact_id() and m.step_id = step_messages.step_id), '[]');
end
$step_messages$;

comment on function journal.step_messages(uuid, jsonb) is 'Ids of the messages of a step of the running transaction.';
