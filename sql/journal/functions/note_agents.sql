-- From the first agent on captures look for agents; there is no way back, so nobody can be overlooked. Also where triggers of
-- users do not fire, as in a replica's session.
create function journal.note_agents() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $note_agents$
begin
    if not journal.has_agents() then
        create or replace function journal.has_agents() returns boolean language sql stable begin atomic select true; end;
    end if;
    return null;
end
$note_agents$;

create trigger note_agents after insert on journal.agent_role for each statement execute function journal.note_agents();
alter table journal.agent_role enable always trigger note_agents;

comment on function journal.note_agents() is 'Makes captures look for agents once there is one. Private.';
