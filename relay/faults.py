"""What the driver of Postgres raises, as errors of ours with something to do about them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from outbox.pg.errors import from_database
from relay.errors import OptionsDiffer, RelayError, SourceBusy, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

# A standby that is not promoted yet, a restart, a lock held too long: the relay waits.
_PASSING = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction)
_NOT_MIGRATED = (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedTable)


@contextmanager
def translated() -> Iterator[None]:
    """What the driver raises, as an error of ours with something to do about it."""
    try:
        yield
    except psycopg.Error as error:
        raise _fault(error) from error


def _fault(error: psycopg.Error) -> RelayError:
    ours = from_database(error)
    if isinstance(ours, RelayError):
        return ours
    if isinstance(error, _NOT_MIGRATED):
        return RelayError("the database is not migrated, or not to this version", hint="run: journal migrate")
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return RelayError("this role may not run a relay", hint="grant journal_operator to it")
    if isinstance(error, psycopg.errors.InvalidParameterValue):
        return OptionsDiffer(str(error.diag.message_primary), hint=error.diag.message_hint)
    if isinstance(error, _PASSING):
        return _passing(error)
    hint = error.diag.message_hint or "see the server's log; `journal doctor` looks for what is wrong in the schema"
    return RelayError(f"the database refused: {_first_line(error)}", hint=hint)


def _passing(error: psycopg.Error) -> SourceUnavailable:
    if isinstance(error, psycopg.errors.LockNotAvailable):
        hint = "look for a transaction that stays open, and try again"
        return SourceBusy(f"the database is busy: {_first_line(error)}", hint=hint)
    return SourceUnavailable(f"the database does not answer: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
