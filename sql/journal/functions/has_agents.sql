-- Whether any role was ever named as an agent. Declared stable, so that it is put into plans as a constant, which they are made
-- anew with when note_agents replaces it: until then no capture looks for agents, which is a tenth of what it costs.
create function journal.has_agents() returns boolean
language sql stable
begin atomic
    select false;
end;

comment on function journal.has_agents() is 'Whether any role was ever named as an agent. Replaced by journal.note_agents.';
