-- The whole schema, in reading order: load order and table of contents in one.
-- `psql -f sql/install.sql` installs it for the current role, as `journal migrate --no-roles` does, but without a version: use
-- migrate for databases that you keep. The group roles belong to the cluster, not to a database: see roles.sql.
\ir schemas.sql

-- the journal: sessions, coverage, changes, rollbacks, receipts

-- the outbox: messages and seals

-- the relay: destinations and their positions

-- who may do what
\ir grants.sql
