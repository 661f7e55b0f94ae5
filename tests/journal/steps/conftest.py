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


@pytest.fixture(params=[True, False], ids=["autocommit", "transactions"])
def db(request: pytest.FixtureRequest, connect: Connect) -> psycopg.Connection:
    """A connection, with autocommit on and off, to a database whose tables `notes` and `orders` are covered."""
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
