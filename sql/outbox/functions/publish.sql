-- Publishes a message in the caller's transaction. Two messages of one key arrive in the order in which their transactions held an
-- exclusive lock on that key, taken before publish; never call it in the select list of a statement that locks or updates that row.
create function outbox.publish(
    topic text, key text default null, data jsonb default null, headers jsonb default '{}', type text default null,
    hold text default null, compensation jsonb default null
) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $publish$
declare
    bound record;
    effective_hold text;
    checked boolean;
    published uuid;
begin
    -- Assigned, not performed: plpgsql evaluates a simple expression several times faster than a statement.
    checked := outbox.check_topic(coalesce(topic, '')) and outbox.check_topic(type)
               and outbox.check_key(key) and outbox.check_headers(headers);
    bound := outbox.attribution();
    effective_hold := coalesce(hold, bound.hold);
    checked := outbox.check_hold(effective_hold, bound.session_id);
    published := outbox.add_message(
        topic, key, data, coalesce(headers, '{}'), coalesce(type, topic), bound.session_id, bound.step_id,
        hold => effective_hold, compensation => compensation);
    if bound.step_id is not null and current_setting('transaction_isolation') = 'serializable' then
        perform journal.note(message_id => published);
    end if;
    return published;
end
$publish$;

comment on function outbox.publish(text, text, jsonb, jsonb, text, text, jsonb) is
    'Publishes a message as part of the current transaction and returns its id. key: order is kept per key; hold: ''close'' or a duration of at most outbox.longest_hold(); a named agent role is refused outside a bound session (UnboundWrite); compensation: data of the message that takes this one back. Use "update … returning outbox.publish(…)" or a statement of its own: in "select outbox.publish(…) … for update" and "update … set x = outbox.publish(…)" Postgres may call it twice.';
