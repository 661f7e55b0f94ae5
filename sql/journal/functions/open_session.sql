-- Opens an agent session, or returns the open one that the run id names already.
create function journal.open_session(
    agent   text,
    task    text default '',
    parent  uuid default null,
    details jsonb default '{}',
    run_id  text default null,
    tenant  text default '',
    hold    text default null,
    role    text default null
) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $open_session$
#variable_conflict use_column
declare
    opened uuid := outbox.uuid7();
    above  journal.session;
    there  journal.session;
begin
    if octet_length(coalesce(open_session.agent, '')) not between 1 and 512 then
        raise exception using
            errcode = 'JR008', message = 'a session needs the name of its agent, of 1 to 512 bytes', hint = 'such as billing-bot';
    elsif octet_length(open_session.tenant) > 512 then
        raise exception using errcode = 'JR008', message = 'the name of a tenant has at most 512 bytes', hint = 'pass its id; empty: none';
    elsif octet_length(open_session.run_id) not between 1 and 512 then
        raise exception using
            errcode = 'JR008', message = 'a run_id has 1 to 512 bytes', hint = 'it names one run, such as ticket-8123; null: none';
    end if;
    if open_session.parent is not null then
        above := journal.enter_session(open_session.parent);
        if open_session.tenant not in ('', above.tenant) then
            raise exception using
                errcode = 'JR008', message = 'a child session belongs to the tenant of its parent',
                hint = 'leave the tenant out, or open a session without a parent';
        end if;
    end if;
    perform outbox.release_at(open_session.hold, clock_timestamp()), journal.refuse_stopped(null, open_session.agent);
    if open_session.role is not null
       and not exists (select from pg_roles r where r.rolname = open_session.role and pg_has_role(session_user, r.oid, 'member')) then
        raise exception using
            errcode = 'JR008', message = format('%I may not act as the role %I', session_user, open_session.role),
            hint = format('grant %I to %I', open_session.role, session_user);
    end if;
    insert into journal.session
           (session_id, parent_session_id, agent, task, tenant, run_id, role, db_user, db_role, application_name, hold, details)
    values (opened, open_session.parent, open_session.agent, coalesce(open_session.task, ''),
            coalesce(nullif(open_session.tenant, ''), above.tenant, ''), open_session.run_id, open_session.role, session_user,
            coalesce(open_session.role, journal.caller()), current_setting('application_name'), open_session.hold,
            coalesce(open_session.details, '{}'))
        on conflict (tenant, agent, run_id) where run_id is not null do nothing;
    if found then
        return opened;
    end if;
    select s.* into there from journal.session s
     where s.tenant = coalesce(nullif(open_session.tenant, ''), above.tenant, '')
       and s.agent = open_session.agent and s.run_id = open_session.run_id;
    return (journal.enter_session(there.session_id)).session_id;
end
$open_session$;

comment on function journal.open_session(text, text, uuid, jsonb, text, text, text, text) is
    'Opens an agent session and returns its id. run_id is unique per tenant and agent: where it names an open session, that one is returned. hold: close or a duration, the default of its messages; role: set in each step. Raises SessionClosed, SessionStopped, NotSessionOwner.';
