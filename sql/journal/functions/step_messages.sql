-- The messages that a step of the running transaction published, in order.
create function journal.step_messages(step_id uuid) returns jsonb
language plpgsql stable
as $step_messages$
declare
    noted constant jsonb := journal.notes() -> step_id::text;
begin
    if noted is not null then
        return coalesce(noted -> 'messages', '[]');
    end if;
    return coalesce(
        (select jsonb_agg(m.message_id order by m.id) from outbox.message m
          where m.xid = pg_current_xact_id() and m.step_id = step_messages.step_id), '[]');
end
$step_messages$;

comment on function journal.step_messages(uuid) is 'Ids of the messages of a step of the running transaction.';
