-- Inside a definer function current_user is the owner. Who called is the role set, else the session user.
create function journal.caller() returns name
language sql stable
begin atomic
    select coalesce(nullif(pg_catalog.current_setting('role'), 'none'), session_user::text)::name;
end;

comment on function journal.caller() is 'The role that called: the role set, else the session user.';
