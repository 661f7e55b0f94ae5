-- A consumer takes a message in the transaction of its work. Another that works on the same one is waited for.
create function outbox.take(consumer text, message_id text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $take$
#variable_conflict use_variable
begin
    insert into outbox.inbox (consumer, message_id) values (take.consumer, take.message_id) on conflict do nothing;
    return found;
end
$take$;

comment on function outbox.take(text, text) is
    'Whether the consumer meets this message for the first time: then do the work, in this transaction. False: it was worked through before. Waits for another transaction that is at it.';
