"""`shell` runs the command in this process; `shop` is a database with covered tables and a session that did something."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest
from click.testing import CliRunner

import journal
import outbox
from journal.cli import main


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The objects of a list."""
        return [json.loads(line) for line in self.out.splitlines()]


Shell = Callable[..., Done]


def run(dsn: str, *words: object) -> Done:
    """The command on this database, without a terminal."""
    result = CliRunner().invoke(main, [str(word) for word in words], env={"DATABASE_URL": dsn})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def shell(dsn: str) -> Shell:
    return lambda *words: run(dsn, *words)


@dataclass(frozen=True)
class Shop:
    """A session of three steps: one that is called twice, one on ten rows, one that deletes two."""

    session_id: UUID


@pytest.fixture
def orders(conn: psycopg.Connection) -> None:
    """A covered table of a hundred orders."""
    conn.execute("create table orders (id int primary key, status text not null, note text)")
    conn.execute("insert into orders select n, 'new', null from generate_series(1, 100) as n")
    journal.cover(conn, "orders")


@pytest.fixture
def shop(conn: psycopg.Connection, orders: None) -> Shop:  # noqa: ARG001  it makes the table
    with journal.open_session(conn, agent="bot", task="ticket 8123") as session:
        for _ in range(2):
            with session.step("refund", key="order-42", arguments={"order": 42}) as step:
                if not step.replayed:
                    conn.execute("update orders set status = 'refunded' where id = 42")
                    outbox.publish(conn, topic="refunds", key="42", data={"order": 42})
        with session.step("close"):
            conn.execute("update orders set status = 'closed' where id > 90")
        with session.step("delete"):
            conn.execute("delete from orders where id < 3")
    return Shop(session.id)


@pytest.fixture
def conflict(conn: psycopg.Connection, shop: Shop) -> None:  # noqa: ARG001  after the session
    """Somebody else has changed one of the rows, in the same column."""
    conn.execute("update orders set status = 'disputed' where id = 95")
