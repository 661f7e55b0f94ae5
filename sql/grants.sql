-- Who may do what. Loaded last: nobody may do anything until it is granted here. Group roles that the cluster does not have
-- (migrate --no-roles) are passed over.
do $grants$
declare
    everyone constant text[] := array['journal_agent', 'journal_operator', 'journal_reader', 'journal_auditor'];
    schema_name text;
    role_name text;
begin
    foreach schema_name in array array['journal', 'outbox', 'relay'] loop
        execute format('revoke all on all functions in schema %I from public', schema_name);
        execute format('revoke all on all tables in schema %I from public', schema_name);
    end loop;
    for role_name in select r.rolname from pg_catalog.pg_roles as r where r.rolname = any (everyone) loop
        execute format('grant usage on schema journal, outbox, relay to %I', role_name);
    end loop;
end
$grants$;
