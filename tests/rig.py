"""What the fixtures are made of: one embedded cluster a worker, and databases cloned from a migrated template.

`JOURNAL_TEST_POSTGRES` chooses the server: 18 (default) and 16 from the wheel, 15 from Debian's package.
`JOURNAL_TEST_ROLE` chooses who the tests are: `superuser` (default), or `owner`, a plain role that owns its database.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from journal.embedded import PostgresServer, start_postgres
from journal.migrate import migrate

VERSION = int(os.environ.get("JOURNAL_TEST_POSTGRES", "18"))
ROLE = os.environ.get("JOURNAL_TEST_ROLE", "superuser")
OWNER = "app_owner"
TEMPLATE = "migrated"
_DEBIAN_BIN = "/usr/lib/postgresql/15/bin"
_MEMORY = "/dev/shm"  # noqa: S108  checked before use, and only for servers of our own

# The tests crash clients and backends, not the machine: durability is for the tests that ask for it.
_FAST: dict[str, str | int | bool] = {"fsync": False, "full_page_writes": False, "log_min_messages": "fatal"}

if VERSION not in {15, 16, 18}:
    raise ValueError(f"JOURNAL_TEST_POSTGRES is 15, 16 or 18, not {VERSION}")
if ROLE not in {"superuser", "owner"}:
    raise ValueError(f"JOURNAL_TEST_ROLE is superuser or owner, not {ROLE}")


def start_server(**settings: str | int | bool) -> PostgresServer:
    """A server of a test's own, of the version under test: for roles, crashes and settings. Fast unless `settings` differ."""
    with _in_memory():
        return start_postgres(
            version=VERSION, bin_dir=_DEBIAN_BIN if VERSION == 15 else None, settings={**_FAST, **settings}
        )


@contextmanager
def _in_memory() -> Iterator[None]:
    """Temporary folders are made in memory, where there is room: a database is cloned there in a tenth of the time."""
    before = tempfile.tempdir
    if _has_room(_MEMORY):
        tempfile.tempdir = _MEMORY
    try:
        yield
    finally:
        tempfile.tempdir = before


def _has_room(folder: str) -> bool:
    """Whether a few clusters fit, and the server's programs, copied there where we are root, may run there."""
    try:
        system = os.statvfs(folder)
    except OSError:
        return False
    roomy = system.f_bavail * system.f_frsize >= 6 * 2**30
    return roomy and not system.f_flag & os.ST_NOEXEC and os.access(folder, os.W_OK)


@dataclass
class Cluster:
    """The worker's server, and who the tests are on it."""

    server: PostgresServer
    role: str
    _passwords: dict[str, str] = field(default_factory=dict)
    _admin: psycopg.Connection | None = None

    def dsn(self, database: str, *, role: str | None = None) -> str:
        """The URL of a database, as the role of this run unless another is named."""
        name = role or self.role
        return self.server.dsn(database, user=name, password=self._passwords.get(name))

    def superuser_dsn(self, database: str) -> str:
        return self.server.dsn(database)

    def create_role(self, name: str | None = None, options: str = "") -> str:
        """A new login role, not a superuser; `options` as of `create role`, such as `createrole`."""
        name = name or f"role_{secrets.token_hex(4)}"
        self._passwords[name] = password = secrets.token_hex(8)
        statement = sql.SQL("create role {} login {} password {}")
        self.admin.execute(statement.format(sql.Identifier(name), sql.SQL(options), sql.Literal(password)))
        return name

    @contextmanager
    def database(self, *, template: str = "template0", owner: str | None = None) -> Iterator[str]:
        """A database for one test; its name."""
        name = f"test_{secrets.token_hex(6)}"
        self.create_database(name, template=template, owner=owner)
        try:
            yield name
        finally:
            self.admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def create_database(self, name: str, *, template: str, owner: str | None = None) -> None:
        statement = sql.SQL("create database {} template {} owner {} strategy file_copy")
        names = (name, template, owner or self.role)
        self.admin.execute(statement.format(*map(sql.Identifier, names)))

    @property
    def admin(self) -> psycopg.Connection:
        """A superuser's connection, outside any test's database."""
        if self._admin is None or self._admin.closed:
            self._admin = psycopg.connect(self.server.dsn(), autocommit=True)
        return self._admin

    def close(self) -> None:
        if self._admin is not None:
            self._admin.close()
        self.server.close()


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster with a migrated template database."""
    made = Cluster(start_server(), role="postgres")
    try:
        if ROLE == "owner":
            # May create roles, so that `migrate` makes its own; everything else is what a plain owner may do.
            made.role = made.create_role(OWNER, "createrole")
        made.create_database(TEMPLATE, template="template0")
        migrate(made.dsn(TEMPLATE))
        yield made
    finally:
        made.close()
