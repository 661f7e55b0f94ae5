-- Takes back the messages of sessions in the transaction of a rollback: unsealed ones are cancelled, sealed ones get their declared
-- compensation or are residue. Locks the sessions itself, so that no sealer decides meanwhile, and judges in a later statement.
create function outbox.take_back(session_ids uuid[], step_ids uuid[], rollback_id uuid, left_steps uuid[] default '{}', left_transactions xid8[] default '{}')
returns table (message_id uuid, topic text, key text, outcome text, compensation_id uuid, destinations text[])
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $take_back$
declare
    judged record;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception using
            errcode = 'OX000',
            message = 'outbox: messages are taken back under READ COMMITTED only',
            hint = 'an older snapshot would not see the last seal';
    end if;
    perform from journal.session as s where s.session_id = any (session_ids) order by s.session_id for update;
    for judged in select j.* from outbox.judge_messages(session_ids, step_ids, left_steps, left_transactions) as j order by j.id loop
        message_id := judged.message_id;
        topic := judged.topic;
        key := judged.key;
        outcome := judged.outcome;
        compensation_id := judged.compensation_id;
        destinations := relay.destinations_of(judged.topic);
        if outcome = 'cancelled' then
            insert into outbox.cancellation (id, rollback_id) values (judged.id, take_back.rollback_id);
        elsif outcome = 'compensated' and compensation_id is null then
            compensation_id := outbox.answer_message(judged.id, take_back.rollback_id);
        end if;
        return next;
    end loop;
end
$take_back$;

comment on function outbox.take_back(uuid[], uuid[], uuid, uuid[], xid8[]) is
    'Takes back the messages of sessions (step_ids null: of all their steps) for a rollback, and says what became of each: cancelled, compensated, sent, already_cancelled, or kept: of the steps, and transactions outside of steps, that it leaves as they are.';
