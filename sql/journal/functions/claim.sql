-- Records what an agent asserts, and what it points to: the id of a receipt or of a step; null: nothing.
create function journal.claim(session_id uuid, claim text, subject uuid default null) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $claim$
#variable_conflict use_variable
declare
    recorded constant uuid := outbox.uuid7();
    of_step  constant boolean := exists (select from journal.step s where s.step_id = subject);
    owner    name;
begin
    select s.db_user into owner from journal.session s where s.session_id = claim.session_id;
    if not found then
        perform journal.raise_unknown_session(session_id);
    elsif owner <> session_user then
        raise exception using
            errcode = 'JR012', message = format('session %s was opened by another database user', session_id),
            hint = 'a session claims for itself: open one of your own';
    elsif coalesce(claim, '') = '' then
        raise exception using errcode = 'JR039', message = 'a claim says something', hint = 'pass what the agent says, such as refund submitted';
    end if;
    insert into journal.claim (claim_id, session_id, receipt_id, step_id, claim)
    values (recorded, session_id, case when not of_step then subject end, case when of_step then subject end, claim);
    return recorded;
end
$claim$;

comment on function journal.claim(uuid, text, uuid) is
    'Records a claim of a session of the caller''s, and returns its id. subject: the receipt, or step, that is to back it; null: none. Raises UnknownSession, NotSessionOwner.';
