-- What outbox.take_back would do now. Only reads: while a relay runs, a message that could be cancelled now may be sealed later.
create function outbox.take_back_plan(session_ids uuid[], step_ids uuid[], left_steps uuid[] default '{}', left_transactions xid8[] default '{}')
returns table (message_id uuid, topic text, key text, outcome text, compensation_id uuid, destinations text[])
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $take_back_plan$
begin
    return query
    select j.message_id, j.topic, j.key, j.outcome, j.compensation_id, relay.destinations_of(j.topic)
    from outbox.judge_messages(session_ids, step_ids, left_steps, left_transactions) as j
    order by j.id;
end
$take_back_plan$;

comment on function outbox.take_back_plan(uuid[], uuid[], uuid[], xid8[]) is 'What outbox.take_back would do now; changes nothing.';
