-- Inserts one checked message. The one place that knows how a message's slot and size come about.
create function outbox.add_message(
    topic text, key text, data jsonb, headers jsonb, type text, session_id uuid, step_id uuid,
    hold text default null, compensation jsonb default null, compensates uuid default null, caused_by uuid default null
) returns uuid
language plpgsql volatile
as $add_message$
declare
    id constant uuid := outbox.uuid7();
    moment constant timestamptz := clock_timestamp();
    size constant bigint := coalesce(octet_length(data::text), 0) + octet_length(headers::text)
                            + octet_length(topic) + coalesce(octet_length(key), 0) + octet_length(type);
    checked constant boolean := outbox.check_size(topic, size);
begin
    insert into outbox.message
        (message_id, session_id, step_id, topic, key, slot, type, data, headers, compensation, compensates, caused_by,
         hold, release_at, created_at, bytes)
    values
        (id, session_id, step_id, topic, key, outbox.slot_of(coalesce(key, id::text)), type, data, headers, compensation,
         compensates, caused_by, hold, outbox.release_at(hold, moment), moment, size);
    return id;
end
$add_message$;

comment on function outbox.add_message(text, text, jsonb, jsonb, text, uuid, uuid, text, jsonb, uuid, uuid) is
    'Inserts one message. Private; publish with outbox.publish.';
