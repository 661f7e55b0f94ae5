-- Who is an agent is named exactly: membership misfires for superusers, pools and role administrators.
create table journal.agent_role (
    role_name text primary key
);

comment on table journal.agent_role is 'Roles whose writes to covered tables are refused outside a bound session. Matched exactly with session_user and the role set. Private; see journal.add_agent_role.';
