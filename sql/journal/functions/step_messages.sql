-- The messages that a step of the running transaction published, in order.
create function journal.step_messages(step_id uuid) returns uuid[]
language plpgsql stable
as $step_messages$
begin
    return array(
        select m.message_id from outbox.message m
         where m.xid = pg_current_xact_id() and m.step_id = step_messages.step_id
         order by m.id);
end
$step_messages$;

comment on function journal.step_messages(uuid) is 'Ids of the messages of a step of the running transaction.';
