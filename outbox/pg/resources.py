"""The SQL that ships with the code: today's schema, and the names of its revisions.

`sql/` and `migrations/` are installed as `agent_journal_sql` and `agent_journal_migrations`, so both are found from any folder.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from importlib.resources import files

SQL_PACKAGE = "agent_journal_sql"
MIGRATIONS_PACKAGE = "agent_journal_migrations"
SCHEMAS = ("journal", "outbox", "relay")
GROUP_ROLES = ("journal_owner", "journal_agent", "journal_operator", "journal_reader", "journal_auditor")

_INCLUDE = re.compile(r"^\\ir\s+(\S+)\s*$")
_REVISION = re.compile(r"^(\d{4})_\w+\.py$")


def read_sql(name: str) -> str:
    """The text of one file of `sql/`, by its path there, such as `journal/views/sessions.sql`."""
    return files(SQL_PACKAGE).joinpath(*name.split("/")).read_text(encoding="utf-8")


def install_sql() -> str:
    r"""Today's whole schema as one text: `install.sql` with every `\ir` replaced by the file that it names."""
    return "".join(_expand("install.sql"))


def revisions() -> tuple[str, ...]:
    """The schema revisions that this code knows, oldest first."""
    names = (entry.name for entry in files(MIGRATIONS_PACKAGE).joinpath("versions").iterdir())
    return tuple(sorted(match[1] for name in names if (match := _REVISION.match(name))))


def expected_revision() -> str:
    """The schema revision that this code works with."""
    return revisions()[-1]


def _expand(name: str) -> Iterator[str]:
    for line in read_sql(name).splitlines(keepends=True):
        included = _INCLUDE.match(line.rstrip())
        if included is None:
            yield line
        else:
            path = posixpath.join(posixpath.dirname(name), included[1])
            yield f"-- sql/{path}\n"
            yield from _expand(path)
            yield "\n"
