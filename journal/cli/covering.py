"""Covering many tables: one transaction each, so that one that is refused or busy holds up no other."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors

import journal
from journal.cli.failures import explain
from journal.cli.shell import Connection

# Covering needs a lock that waits for writers and makes those behind it wait: so it asks briefly, and often.
_LOCK_TIMEOUT = "500ms"
_ATTEMPTS = 10
_NO_PRIVILEGE = "42501"


@dataclass(frozen=True)
class CoverOptions:
    """What is asked for; others get the defaults, which stand in SQL. With nothing asked for, a covered table keeps its own."""

    agents_only: bool = False
    audit_only: bool = False
    strict: bool = False
    exclude: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()
    maintained: tuple[str, ...] = ()
    truncate: str | None = None

    def given(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value}


@dataclass(frozen=True)
class Covered:
    """What became of one table: `covered`, or `refused` with the reason."""

    table: str
    status: str
    reason: str | None = None
    retryable: bool = False

    @property
    def refused(self) -> bool:
        return self.status == "refused"

    @property
    def words(self) -> str:
        return f"{self.status}: {self.reason}" if self.reason else self.status


def cover_all(conn: Connection, tables: Iterable[str], options: CoverOptions) -> Iterator[Covered]:
    """Cover table after table; yields what became of each. Errors that concern all of them are raised."""
    for table in tables:
        yield _cover(conn, table, options)


def uncover_one(conn: Connection, table: str) -> None:
    with conn.transaction():
        conn.execute("select set_config('lock_timeout', %s, true)", ["10s"])
        journal.uncover(conn, table)


def _cover(conn: Connection, table: str, options: CoverOptions) -> Covered:
    for attempt in range(_ATTEMPTS):
        try:
            with conn.transaction():
                conn.execute("select set_config('lock_timeout', %s, true)", [_LOCK_TIMEOUT])
                _cover_as_asked(conn, table, options)
        except errors.LockNotAvailable:
            time.sleep(random.uniform(0.1, 0.2) * (attempt + 1))  # noqa: S311  spreads the attempts, protects nothing
        except (journal.JournalError, psycopg.Error) as error:
            return _refused(table, journal.from_database(error) or error)
        else:
            return Covered(table, "covered")
    return Covered(table, "refused", "it is in use all the time: no lock within the time limit", retryable=True)


def _cover_as_asked(conn: Connection, table: str, options: CoverOptions) -> None:
    """With no option given, a table that is covered keeps those it has: a second run must not start recording excluded columns."""
    covered = conn.execute(
        "select journal.coverage_state(to_regclass(%s)) ->> 'status' in ('covered', 'stale', 'gap')", [table]
    ).fetchone()
    if covered == (True,) and not options.given():
        conn.execute("select journal.cover_again(%s::text::regclass)", [table])
    else:
        journal.cover(conn, table, **options.given())


def _refused(table: str, error: Exception) -> Covered:
    failure = explain(error)
    if failure is None or failure.code.startswith("08"):
        raise error
    reason = str(getattr(error, "reason", None) or failure.message)
    if failure.code == _NO_PRIVILEGE:
        reason += "; it takes the owner of the table, as a member of journal_operator"
    return Covered(table, "refused", reason, failure.retryable)
