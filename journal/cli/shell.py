"""What every command has: `--dsn`, `--json`, and a connection to a database of the right version."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec

import click
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from journal.cli.paper import say
from journal.errors import SchemaVersionError
from outbox.pg.dsn import resolve_dsn
from outbox.pg.resources import expected_revision

P = ParamSpec("P")
Connection = psycopg.Connection[tuple[Any, ...]]

_OUR_NOTICES = "journal: "
_CONNECT_SECONDS = "10"
_MIGRATE_HINT = "run `journal migrate` on this database"
_UPGRADE_HINT = "upgrade agent-journal to the version that migrated this database"


@dataclass(frozen=True)
class Shell:
    """How this command was called."""

    dsn: str | None
    json: bool

    @property
    def conninfo(self) -> str:
        """The libpq connection string. Raises `DsnError`."""
        given = conninfo_to_dict(resolve_dsn(self.dsn))
        return make_conninfo("", **{"application_name": "journal", "connect_timeout": _CONNECT_SECONDS, **given})

    @property
    def interactive(self) -> bool:
        """Whether there is a person to ask."""
        return not self.json and sys.stdin.isatty() and sys.stderr.isatty()

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection with autocommit, to a migrated database. Raises `SchemaVersionError`, `psycopg.OperationalError`."""
        with psycopg.connect(self.conninfo, autocommit=True) as conn:
            conn.add_notice_handler(_say_notice)
            require_schema(conn)
            yield conn


def with_shell(command: Callable[Concatenate[Shell, P], int | None]) -> Callable[P, int | None]:
    """Adds `--dsn` and `--json` to a command and hands it its `Shell`."""

    @click.option("--dsn", metavar="DSN", help="Database; default: DATABASE_URL, then PG*. Without a password.")
    @click.option("--json", "as_json", is_flag=True, help="JSON on stdout; never asks.")
    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> int | None:
        values: dict[str, Any] = kwargs
        return command(Shell(dsn=values.pop("dsn"), json=values.pop("as_json")), *args, **kwargs)

    return wrapped


def _say_notice(notice: psycopg.errors.Diagnostic) -> None:
    """Progress that the database reports while it works."""
    if notice.severity_nonlocalized == "NOTICE" and (notice.message_primary or "").startswith(_OUR_NOTICES):
        say(str(notice.message_primary))


def found_revision(conn: Connection) -> str | None:
    """The schema revision of the database; None when it was never migrated."""
    known = conn.execute("select to_regclass('journal.schema_version')").fetchone()
    if known is None or known[0] is None:
        return None
    row = conn.execute("select version_num from journal.schema_version").fetchone()
    return None if row is None else str(row[0])


def require_schema(conn: Connection) -> None:
    """Raises `SchemaVersionError` unless code and database fit together."""
    found, expected = found_revision(conn), expected_revision()
    if found is None:
        raise SchemaVersionError("this database is not migrated", hint=_MIGRATE_HINT, found=found, expected=expected)
    if found != expected:
        message = f"this database is at schema revision {found}, this version of journal expects {expected}"
        hint = _MIGRATE_HINT if found < expected else _UPGRADE_HINT
        raise SchemaVersionError(message, hint=hint, found=found, expected=expected)
