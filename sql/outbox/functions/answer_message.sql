-- Publishes what takes a sealed message back, or what brings a cancelled one or the original of a compensation to life again.
create function outbox.answer_message(answered bigint, rollback_id uuid) returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $answer_message$
declare
    given outbox.message;
    original outbox.message;
    cancelled constant boolean := exists (select from outbox.cancellation as c where c.id = answered);
begin
    select m.* into given from outbox.message as m where m.id = answered;
    if given.compensates is null and not cancelled then
        return outbox.add_message(
            given.topic, given.key, given.compensation, given.headers, given.type || '.compensated', rollback_id, null,
            compensates => given.message_id);
    end if;
    select m.* into original from outbox.message as m
    where m.message_id = case when cancelled then given.message_id else given.compensates end;
    return outbox.add_message(
        original.topic, original.key, original.data, original.headers, original.type, rollback_id, null,
        compensation => original.compensation, caused_by => original.message_id,
        compensates => case when cancelled then original.compensates else given.message_id end);
end
$answer_message$;

comment on function outbox.answer_message(bigint, uuid) is 'Publishes the answer to a message that a rollback takes back. Private.';
