"""Lists the packages; everything else stands in pyproject.toml.

`sql/` and `migrations/` are top-level folders of the checkout whose names would collide with other distributions', so they are
installed as `agent_journal_sql` and `agent_journal_migrations`. Code reads them under these names only.
"""

from setuptools import find_packages, setup

CODE = ["journal", "journal.*", "outbox", "outbox.*", "relay", "relay.*"]
MAPPED = {"agent_journal_sql": "sql", "agent_journal_migrations": "migrations"}

setup(
    packages=[*find_packages(include=CODE), *MAPPED, "agent_journal_migrations.versions"],
    package_dir=MAPPED,
)
