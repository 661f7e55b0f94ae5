"""A database with a covered table, and as many connections as a test needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest

import journal

Connect = Callable[..., psycopg.Connection]


@pytest.fixture
def connect(dsn: str) -> Iterator[Connect]:
    """`connect()`: another connection to the test's database; options as of psycopg."""
    with ExitStack() as stack:

        def connected(**options: object) -> psycopg.Connection:
            return stack.enter_context(psycopg.connect(dsn, **{"autocommit": True, **options}))  # type: ignore[arg-type]

        yield connected


# Here a transaction begins or ends, or something dies in one: with autocommit on and off. What is left of a step elsewhere
# (keys, receipts, views) is the same; tests/contract runs the whole of it over every kind of connection.
BOTH_MODES = {"test_binding", "test_crashes", "test_readme_example", "test_replay", "test_sessions", "test_steps"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "db" in metafunc.fixturenames:
        modes = {"transactions": False}
        if metafunc.module.__name__.rpartition(".")[2] in BOTH_MODES:
            modes["autocommit"] = True
        metafunc.parametrize("db", list(modes.values()), ids=list(modes), indirect=True)


@pytest.fixture
def db(request: pytest.FixtureRequest, connect: Connect) -> psycopg.Connection:
    """A connection to a database whose tables `notes` and `orders` are covered."""
    made = connect()
    made.execute("create table notes (id bigint generated always as identity primary key, note text)")
    made.execute("create table orders (id int primary key, status text not null)")
    made.execute("insert into orders values (42, 'new'), (43, 'new')")
    journal.cover(made, "public.notes")
    journal.cover(made, "public.orders")
    made.set_autocommit(bool(request.param))
    return made


@pytest.fixture
def watch(db: psycopg.Connection, connect: Connect) -> psycopg.Connection:
    """A second connection to the same database, which sees what is committed."""
    assert db is not None
    return connect()


@pytest.fixture
def agent(db: psycopg.Connection) -> journal.AgentSession:
    """An open session on `db`."""
    return journal.open_session(db, agent="bot", task="ticket 8123")
