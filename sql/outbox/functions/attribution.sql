-- Whose message this is, and the hold it inherits. The journal is bound late: the outbox works without it.
create function outbox.attribution() returns table (session_id uuid, step_id uuid, hold text)
language plpgsql stable
as $attribution$
begin
    if to_regprocedure('journal.bound_session()') is not null then
        return query
        select b.session_id, b.step_id, s.hold
        from journal.bound_session() as b
        left join journal.session as s on s.session_id = b.session_id;
    end if;
end
$attribution$;

comment on function outbox.attribution() is 'Session, step and default hold of a message published now; no row outside a bound session.';
