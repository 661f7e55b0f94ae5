"""For the tests of services that use the journal: fixtures of pytest, and assertions about what a step did.

    # conftest.py
    pytest_plugins = ["journal.testing"]

The fixtures need the extra `embedded`: they run a PostgreSQL of their own.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest
from psycopg import sql

from journal.embedded import PostgresServer, start_postgres
from journal.migrate import migrate

__all__ = ["assert_changes", "assert_published", "assert_receipt", "journal_conn", "journal_database", "journal_server"]

TEMPLATE = "journal_template"
_ANY: Any = object()


@pytest.fixture(scope="session")
def journal_server() -> Iterator[PostgresServer]:
    """A PostgreSQL for this run, with a migrated template. It gives up durability for speed."""
    with start_postgres(settings={"fsync": False, "full_page_writes": False}) as server:
        _execute(server, sql.SQL("create database {}").format(sql.Identifier(TEMPLATE)))
        migrate(server.dsn(TEMPLATE))
        yield server


@pytest.fixture
def journal_database(journal_server: PostgresServer) -> Iterator[str]:
    """The URL of a migrated database of the test's own."""
    name = f"test_{secrets.token_hex(6)}"
    names = (sql.Identifier(name), sql.Identifier(TEMPLATE))
    _execute(journal_server, sql.SQL("create database {} template {}").format(*names))
    yield journal_server.dsn(name)
    _execute(journal_server, sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def journal_conn(journal_database: str) -> Iterator[psycopg.Connection]:
    """A connection to it, with autocommit on."""
    with psycopg.connect(journal_database, autocommit=True) as conn:
        yield conn


def _execute(server: PostgresServer, statement: sql.Composed) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(statement)


def assert_changes(conn: psycopg.Connection, session: Any, expected: Mapping[str, Mapping[str, int]]) -> None:
    """Fail unless the session (or its id) changed exactly so many rows, such as `{"public.orders": {"update": 1}}`.

    What was rolled back by its own transaction does not count; what a rollback of the session took back does.
    """
    query = """
        select jsonb_object_agg(table_name, operations)
          from (select table_name, jsonb_object_agg(lower(operation), rows) as operations
                  from (select table_name, operation, sum(rows) as rows from journal.statements
                         where session_id = %s group by table_name, operation) counted
                 group by table_name) tables"""
    _compare("changes", _value(conn, query, getattr(session, "id", session)) or {}, dict(expected))


def assert_published(
    conn: psycopg.Connection, *, topic: str, key: str | None = _ANY, data: Any = _ANY, times: int = 1
) -> None:
    """Fail unless so many messages of that topic, and key and data where given, were published and not cancelled."""
    query = """
        select count(*) from outbox.messages
         where topic = %(topic)s and status <> 'cancelled'
           and (not %(by_key)s or key is not distinct from %(key)s)
           and (not %(by_data)s or data is not distinct from %(data)s::jsonb)"""
    by_key, by_data = key is not _ANY, data is not _ANY
    given = {"topic": topic, "by_key": by_key, "by_data": by_data, "key": key if by_key else None}
    found = _value(conn, query, {**given, "data": json.dumps(data) if by_data else None})
    _compare(f"messages of topic {topic}", found, times)


def assert_receipt(
    conn: psycopg.Connection,
    receipt: Any,
    *,
    status: str = "committed",
    changes: Mapping[str, Any] = _ANY,
    result: Any = _ANY,
) -> None:
    """Fail unless the receipt (or its id) is there, with that status, and with these changes and result where given."""
    query = """
        select jsonb_build_object('status', status, 'changes', changes, 'result', result)
          from journal.receipts where receipt_id = %s"""
    found = _value(conn, query, getattr(receipt, "id", receipt))
    if found is None:
        raise AssertionError("there is no such receipt")
    for name, expected in (("status", status), ("changes", changes), ("result", result)):
        if expected is not _ANY:
            _compare(f"the receipt's {name}", found[name], expected)


def _compare(what: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, found {found!r}")


def _value(conn: psycopg.Connection, query: str, parameters: Any) -> Any:
    """Looking leaves no transaction open that it opened."""
    idle = conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    given = parameters if isinstance(parameters, dict) else [parameters]
    row = conn.execute(query.encode(), given).fetchone()
    if idle and not conn.autocommit:
        conn.rollback()
    return row[0] if row else None
