-- Every held id is carried by every seal, so their number is limited; and only a session can close.
create function outbox.check_hold(hold text, session_id uuid) returns boolean
language plpgsql stable
as $check_hold$
begin
    if hold is null then
        return true;
    elsif hold = 'close' and session_id is null then
        raise exception using
            errcode = 'OX000',
            message = 'outbox: hold ''close'' waits for a session to close, and this transaction is bound to none',
            hint = 'publish inside a step, or give a duration such as ''30s''';
    elsif 10000 <= (select cardinality(s.pending) from outbox.seal as s order by s.no desc limit 1) then
        raise exception using
            errcode = 'OX000',
            message = 'outbox: 10,000 messages are held back already',
            hint = 'close the sessions that hold messages, see outbox.backlog, or publish without a hold';
    end if;
    return true;
end
$check_hold$;

comment on function outbox.check_hold(text, uuid) is 'True; raises unless one more message may be held like this.';
