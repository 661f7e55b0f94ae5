"""Bring a database to the schema that this code expects.

The history is alembic's (`migrations/`), with a version table of its own, `journal.schema_version`. Nothing global of alembic is
used, so a host's own revision can call us in the middle of its own. Everything happens in one transaction.

Who owns what: `migrate` creates the NOLOGIN role `journal_owner` and the group roles of the cluster where it may, and becomes
`journal_owner` for the installation, so that no login role owns the journal. With `no_roles` the migrating role owns everything.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import psycopg
import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.pool import NullPool

from journal.errors import JournalError, SchemaVersionError
from outbox.pg.errors import sqlstate_of
from outbox.pg.resources import GROUP_ROLES, MIGRATIONS_PACKAGE, SCHEMAS, expected_revision, read_sql, revisions

OWNER = "journal_owner"
VERSION_SCHEMA = "journal"
VERSION_TABLE = "schema_version"
_LOCK = 0x6A6F75726E616C  # "journal": two migrators of one database take turns
_INSUFFICIENT_PRIVILEGE = "42501"
_ROLES_HINT = (
    "let the DBA run what `journal migrate --roles-sql` prints, "
    "or let the migrating role own everything: `journal migrate --no-roles`"
)


@dataclass(frozen=True)
class SchemaStatus:
    """The revision found in a database (None: not migrated) and the one that this code expects."""

    found: str | None
    expected: str

    @property
    def current(self) -> bool:
        return self.found == self.expected


@dataclass(frozen=True)
class Migration:
    """What `migrate` did: the revision before (None: there was none) and after."""

    before: str | None
    after: str

    @property
    def changed(self) -> bool:
        return self.before != self.after


def status(database: str | sa.Connection) -> SchemaStatus:
    """The revision of a database, given as a libpq connection string or a SQLAlchemy connection."""
    with _connected(database) as connection:
        return SchemaStatus(_found(connection), expected_revision())


def migrate(database: str | sa.Connection, *, to: str | None = None, no_roles: bool = False) -> Migration:
    """Bring a database to revision `to`, by default the one that this code expects. A second call does nothing.

    `database` is a libpq connection string or URL: a connection and transaction of our own; or a SQLAlchemy connection: all
    happens in its transaction, which stays open. Raises `SchemaVersionError` when the database is newer than the code or than
    `to`, `JournalError` when the role may not do what is needed; nothing is changed then.
    """
    target = _known_revision(to)
    with _connected(database) as connection, _privilege_errors():
        connection.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        found = _found(connection)
        _refuse_newer(found, target)
        if found != target:
            with _as_owner(connection, no_roles=no_roles):
                _upgrade(connection, target)
        return Migration(found, target)


def migration_sql(*, to: str | None = None, no_roles: bool = False) -> str:
    """The SQL that `migrate` runs on an empty database, as one script for psql."""
    buffer = io.StringIO()
    _alembic(None, _known_revision(to), as_sql=True, output_buffer=buffer).run_migrations(execute=_writer(buffer))
    return "\n".join(
        ["begin;", *_bootstrap_sql(no_roles=no_roles), buffer.getvalue(), _READABLE_VERSION + ";", "commit;", ""]
    )


def roles_sql(role: str | None = None) -> str:
    """The DBA's part: the SQL that creates the roles and lets `role`, the one that migrates, act as their owner."""
    grant = f"grant {OWNER} to {_quoted(role)};" if role else f"-- grant {OWNER} to <the role that migrates>;"
    return f"{read_sql('roles.sql')}{grant}\n"


# -- the database's revision


def _found(connection: sa.Connection) -> str | None:
    if connection.scalar(sa.text("select to_regclass('journal.schema_version')")) is None:
        return None
    found: str | None = connection.scalar(sa.text("select version_num from journal.schema_version"))
    return found


def _known_revision(to: str | None) -> str:
    if to is not None and to not in revisions():
        raise JournalError(f"there is no schema revision {to}", hint=f"known: {', '.join(revisions())}")
    return to or expected_revision()


def _refuse_newer(found: str | None, target: str) -> None:
    """Revisions are numbered, and never undone: a database ahead of the code is left alone."""
    if found is not None and found > target:
        message = f"the database is at schema revision {found}, newer than {target}"
        hint = "upgrade agent-journal to the version that migrated this database"
        raise SchemaVersionError(message, hint=hint, found=found, expected=target)


# -- alembic


def _upgrade(connection: sa.Connection, target: str) -> None:
    _alembic(connection, target).run_migrations(execute=_runner(connection))
    connection.execute(sa.text(_READABLE_VERSION))


# Whoever uses the journal must be able to see that code and database fit together.
_READABLE_VERSION = "grant select on journal.schema_version to public"


def _alembic(connection: sa.Connection | None, target: str, **options: Any) -> MigrationContext:
    script = ScriptDirectory(str(files(MIGRATIONS_PACKAGE)))

    def steps(found: Any, _context: Any) -> Any:
        return script._upgrade_revs(target, found)  # noqa: SLF001  the call that alembic's own documentation shows

    options |= {"fn": steps, "script": script, "version_table": VERSION_TABLE, "version_table_schema": VERSION_SCHEMA}
    return MigrationContext.configure(connection, dialect_name="postgresql", opts=options)


def _runner(connection: sa.Connection) -> Callable[[str], None]:
    """Runs a script of many statements by the driver itself: SQLAlchemy trips over `:name`, its drivers over `%`."""

    def run(script: str) -> None:
        driver = connection.connection.dbapi_connection
        if driver is None:
            raise JournalError("the connection is closed", hint="migrate on an open one")
        if hasattr(driver, "run_async"):
            driver.run_async(lambda raw: raw.execute(script))
        else:
            driver.cursor().execute(script)

    return run


def _writer(buffer: io.StringIO) -> Callable[[str], None]:
    def write(script: str) -> None:
        buffer.write(script)

    return write


# -- who owns it


@contextmanager
def _as_owner(connection: sa.Connection, *, no_roles: bool) -> Iterator[None]:
    """Make the schemas if they are not there, and act as their owner; a role that the host has set comes back."""
    owner = _schema_owner(connection)
    if owner is None:
        if not no_roles:
            _ensure_roles(connection)
        owner = _current_user(connection) if no_roles else OWNER
        for statement in _create_schemas_sql(owner):
            connection.execute(sa.text(statement))
    before = connection.scalar(sa.text("select current_setting('role')"))
    connection.execute(_SET_ROLE, {"role": owner})
    yield
    connection.execute(_SET_ROLE, {"role": before})


_SET_ROLE = sa.text("select set_config('role', :role, true)")


def _schema_owner(connection: sa.Connection) -> str | None:
    query = "select pg_get_userbyid(nspowner) from pg_catalog.pg_namespace where nspname = :name"
    owner: str | None = connection.scalar(sa.text(query), {"name": VERSION_SCHEMA})
    return owner


def _current_user(connection: sa.Connection) -> str:
    return str(connection.scalar(sa.text("select current_user")))


def _create_schemas_sql(owner: str) -> list[str]:
    return [f"create schema if not exists {schema} authorization {_quoted(owner)}" for schema in SCHEMAS]


def _bootstrap_sql(*, no_roles: bool) -> list[str]:
    if no_roles:
        return [f"create schema if not exists {schema};" for schema in SCHEMAS]
    schemas = [f"{statement};" for statement in _create_schemas_sql(OWNER)]
    return [read_sql("roles.sql"), f"grant {OWNER} to current_user;", *schemas, f"set local role {OWNER};"]


def _ensure_roles(connection: sa.Connection) -> None:
    missing = _missing_roles(connection)
    if missing and not _may_create_roles(connection):
        raise JournalError(
            f"the roles {', '.join(missing)} do not exist, and this role may not create them", hint=_ROLES_HINT
        )
    if missing:
        _runner(connection)(read_sql("roles.sql"))
    if not _may_become_owner(connection):
        _become_member(connection)


def _missing_roles(connection: sa.Connection) -> list[str]:
    there = set(connection.scalars(sa.text("select rolname from pg_catalog.pg_roles")))
    return [name for name in GROUP_ROLES if name not in there]


def _may_create_roles(connection: sa.Connection) -> bool:
    query = "select rolsuper or rolcreaterole from pg_catalog.pg_roles where rolname = current_user"
    return bool(connection.scalar(sa.text(query)))


def _may_become_owner(connection: sa.Connection) -> bool:
    privilege = "SET" if _server_version(connection) >= 16 else "MEMBER"
    query = sa.text("select pg_has_role(current_user, :owner, :privilege)")
    return bool(connection.scalar(query, {"owner": OWNER, "privilege": privilege}))


def _become_member(connection: sa.Connection) -> None:
    """From PostgreSQL 16 on, whoever creates a role may grant it, but is not yet allowed to act as it."""
    options = " with inherit true, set true" if _server_version(connection) >= 16 else ""
    try:
        connection.execute(sa.text(f"grant {OWNER} to current_user{options}"))
    except sa.exc.DBAPIError as error:
        if sqlstate_of(error) != _INSUFFICIENT_PRIVILEGE:
            raise
        raise JournalError(f"this role may not act as {OWNER}, which exists already", hint=_ROLES_HINT) from error


def _server_version(connection: sa.Connection) -> int:
    return int(connection.scalar(sa.text("select current_setting('server_version_num')::int / 10000")) or 0)


# -- connections and errors


@contextmanager
def _connected(database: str | sa.Connection) -> Iterator[sa.Connection]:
    """The caller's connection in its own transaction, or one of ours that is committed and closed."""
    if isinstance(database, sa.Connection):
        yield database
        return
    with closing(psycopg.connect(database)) as raw:
        engine = sa.create_engine("postgresql+psycopg://", creator=lambda: raw, poolclass=NullPool)
        with engine.begin() as connection:
            yield connection


@contextmanager
def _privilege_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if sqlstate_of(error) != _INSUFFICIENT_PRIVILEGE:
            raise
        cause = getattr(error, "orig", error)
        hint = "migrate as the owner of the database, or as a role that may create schemas in it"
        raise JournalError(str(cause).splitlines()[0], hint=hint) from error


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
