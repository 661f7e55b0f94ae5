-- Whose message this is, and the hold it inherits; all null outside a bound session, where a named agent role is refused. The
-- journal is bound late: the outbox works without it.
create function outbox.attribution(out session_id uuid, out step_id uuid, out hold text)
language plpgsql stable
as $attribution$
begin
    if to_regprocedure('journal.bound_session()') is not null then
        select b.session_id, b.step_id into session_id, step_id from journal.bound_session() as b;
        if session_id is null and journal.is_agent() then
            perform journal.raise_unbound('publish');
        end if;
    end if;
    if session_id is not null then
        select s.hold into hold from journal.session as s where s.session_id = attribution.session_id;
    end if;
end
$attribution$;

comment on function outbox.attribution() is 'Session, step and default hold of a message published now. Raises UnboundWrite.';
