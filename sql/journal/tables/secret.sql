-- The key of what the journal hands out and takes back, such as a transaction's notes: whoever cannot read it cannot forge it.
create table journal.secret (
    secret bytea not null
);

create unique index secret_single on journal.secret ((true));

insert into journal.secret select pg_catalog.sha256(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) || pg_catalog.uuid_send(pg_catalog.gen_random_uuid()));

comment on table journal.secret is 'The key of journal.keyed_digest. Private: nobody but the owner reads it.';
