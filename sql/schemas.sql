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
