"""What an error becomes in the shell: one line, a hint, an exit code; the one home of both kinds of code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
import psycopg

from journal.cli.paper import moment, printable
from outbox.pg.dsn import DsnError
from outbox.pg.errors import Fault, from_database, sqlstate_of

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3
EXIT_NOTHING = 4
EXIT_PARTLY = 5
EXIT_BUSY = 6
EXIT_INTERRUPTED = 130

_TABLE_HINT = "write it as schema.table; `journal coverage` lists all tables"
_READER_HINT = (
    "reading needs membership in journal_reader, covering and rolling back in journal_operator; "
    "ask the owner of the database"
)
_UNREACHABLE_HINT = "check --dsn, DATABASE_URL or PGHOST, PGPORT and PGDATABASE, and that the server is running"
_READ_ONLY_HINT = (
    "this connection may only read: use the primary server, and a role without default_transaction_read_only"
)
_NO_SUCH_TABLE_STATES = frozenset({"42P01", "3F000", "42602"})
_BUSY_STATES = frozenset({"40001", "40P01", "55P03", "57014"})
_CONNECTION_STATES = ("08", "57P")
_LOGIN_STATES = ("28", "3D")


class UsageError(click.UsageError):
    """The command line cannot be carried out as written; `hint` says how it can."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Failure:
    """An error, ready to be shown."""

    code: str
    message: str
    hint: str | None = None
    retryable: bool = False
    exit_code: int = EXIT_FAILED

    @property
    def label(self) -> str:
        return "usage" if self.code == "usage" else "error"

    def as_json(self) -> Mapping[str, Any]:
        error = {"code": self.code, "message": self.message, "hint": self.hint, "retryable": self.retryable}
        return {"schema": "error/1", "error": error}

    @classmethod
    def of_usage(cls, error: click.ClickException) -> Failure:
        context = getattr(error, "ctx", None)
        hint = getattr(error, "hint", None) or (f"try `{context.command_path} --help`" if context else None)
        return cls("usage", one_line(error.format_message()), hint, exit_code=EXIT_USAGE)


def explain(error: BaseException) -> Failure | None:
    """What to show for an error; None for a mistake of our own, which deserves its traceback."""
    if isinstance(error, DsnError):
        return Failure("usage", str(error), error.hint, exit_code=EXIT_USAGE)
    fault = from_database(error)
    if fault is not None:
        return _of_fault(fault)
    database_error = _database_error(error)
    return _of_database(database_error) if database_error is not None else None


def one_line(text: str) -> str:
    """The first line of a message, without what drivers put around it."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[0] if lines else "(no message)"


def _of_fault(fault: Fault) -> Failure:
    hint = "; ".join(filter(None, (fault.hint, _in_the_way(fault))))
    return Failure(fault.sqlstate, one_line(str(fault)), hint or None, fault.retryable, fault.exit_code)


def _in_the_way(fault: Fault) -> str | None:
    """Who else writes to the tables that a rollback waits for."""
    who = [_writer(blocker) for blocker in getattr(fault, "blockers", None) or []]
    return f"writing to these tables now: {', '.join(who)}" if who else None


def _writer(blocker: Mapping[str, Any]) -> str:
    if blocker.get("prepared"):
        return f"the prepared transaction {printable(blocker['prepared'])}"
    name = f" ({printable(blocker['application_name'])})" if blocker.get("application_name") else ""
    since = f" since {moment(blocker['transaction_started_at'])}" if blocker.get("transaction_started_at") else ""
    return f"process {blocker['pid']} of {printable(str(blocker['db_user']))}{name}{since}"


def _database_error(error: BaseException | None) -> psycopg.Error | None:
    """psycopg's own error, also where SQLAlchemy has wrapped it."""
    for candidate in (error, getattr(error, "orig", None), getattr(error, "__cause__", None)):
        if isinstance(candidate, psycopg.Error):
            return candidate
    return None


def _of_database(error: psycopg.Error) -> Failure:
    state = sqlstate_of(error)
    if state is None:
        message = one_line(str(error)).removeprefix("connection failed: ")
        return Failure("08001", f"cannot reach the database: {message}", _UNREACHABLE_HINT, retryable=True)
    return _of_state(state, error)


def _of_state(state: str, error: psycopg.Error) -> Failure:
    # The primary message only: a DETAIL may quote row values.
    message = one_line(error.diag.message_primary or str(error))
    if state in _NO_SUCH_TABLE_STATES:
        failure = Failure(state, message, _TABLE_HINT, exit_code=EXIT_USAGE)
    elif state == "42501":
        failure = Failure(state, message, _READER_HINT)
    elif state == "25006":
        failure = Failure(state, message, _READ_ONLY_HINT)
    elif state in _BUSY_STATES:
        failure = Failure(state, message, "nothing was changed; try again", retryable=True, exit_code=EXIT_BUSY)
    elif state.startswith(_CONNECTION_STATES):
        failure = Failure(state, f"lost the database: {message}", _UNREACHABLE_HINT, retryable=True)
    elif state.startswith(_LOGIN_STATES):
        failure = Failure(state, f"cannot log in to the database: {message}", _UNREACHABLE_HINT)
    else:
        failure = Failure(state, message, error.diag.message_hint)
    return failure
