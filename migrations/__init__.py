"""The past of the schema: alembic revisions, each with its own frozen SQL. A revision never loads today's `sql/`."""
