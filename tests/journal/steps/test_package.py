"""What importing costs, and what the public names are called."""

from __future__ import annotations

import pickle
import subprocess
import sys
from traceback import format_exception

import pytest

import journal
import outbox

_IMPORT = """
import sys, journal, outbox, psycopg
assert sys.modules.keys().isdisjoint({"journal.sessions", "journal.errors", "outbox.messages"})
journal.open_session, journal.AgentSession, journal.rollback, journal.cover, journal.receipt, outbox.publish
try:
    journal.open_session(object(), agent="bot")
except journal.UnsupportedConnection:
    pass
heavy = {"click", "alembic", "sqlalchemy", "psycopg_pool", "nats", "redis", "asyncpg", "greenlet"}
print(sorted(heavy & sys.modules.keys()))
"""


def test_using_psycopg_loads_nothing_else() -> None:
    done = subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", [journal, outbox])
def test_every_public_name_is_there_and_says_where_it_belongs(package: object) -> None:
    for name in package.__all__:  # type: ignore[attr-defined]
        value = getattr(package, name)
        assert value.__module__ == package.__name__, name  # type: ignore[attr-defined]
        assert value.__doc__, name
        assert name in dir(package)


def test_a_name_that_is_not_there() -> None:
    for package in (journal, outbox):
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            _ = package.nothing


def test_errors_have_a_sqlstate_of_their_own() -> None:
    errors = [getattr(journal, name) for name in journal.__all__]
    classes = [error for error in errors if isinstance(error, type) and issubclass(error, journal.JournalError)]
    assert len(classes) > 30
    assert len({error.sqlstate for error in classes}) == len(classes)
    assert all(error.sqlstate.startswith("JR") and len(error.sqlstate) == 5 for error in classes)
    assert all(error.exit_code in {1, 2, 3, 6} for error in classes)
    assert all(isinstance(error.retryable, bool) for error in classes)


def test_an_error_survives_pickling() -> None:
    error = journal.SessionClosed("closed", hint="open a new session")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    assert (str(again), again.hint, type(again)) == ("closed", "open a new session", journal.SessionClosed)


def test_a_traceback_shows_the_hint() -> None:
    error = journal.SessionClosed("closed", hint="open a new session")
    assert "".join(format_exception(error)).splitlines()[-2:] == [
        "journal.SessionClosed: closed",
        "hint: open a new session",
    ]
