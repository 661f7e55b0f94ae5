-- Frozen from sql/ by `make freeze`. Not edited by hand.

-- The whole schema, in reading order: load order and table of contents in one.
-- `psql -f sql/install.sql` installs it for the current role, as `journal migrate --no-roles` does, but without a version: use
-- migrate for databases that you keep. The group roles belong to the cluster, not to a database: see roles.sql.
-- sql/schemas.sql
-- The three schemas. `journal migrate` makes them beforehand, owned by journal_owner, who may then lack CREATE on the database;
-- so they are looked for first: `create schema if not exists` asks for that right even when there is nothing to create.
do $schemas$
declare
    name text;
begin
    foreach name in array array['journal', 'outbox', 'relay'] loop
        if to_regnamespace(name) is null then
            execute format('create schema %I', name);
        end if;
    end loop;
end
$schemas$;
comment on schema journal is 'agent sessions, coverage, changes, rollbacks, receipts; the views and functions are the contract, the tables are private';
comment on schema outbox is 'messages to the outside world, published in the transaction that they tell about';
comment on schema relay is 'destinations of messages, and how far each has got';


-- the journal: sessions, coverage, changes, rollbacks, receipts

-- the outbox: messages and seals

-- the relay: destinations and their positions

-- who may do what
-- sql/grants.sql
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

