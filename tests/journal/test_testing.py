"""What services use in their own tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

import journal
import outbox
from journal.embedded import PostgresServer
from journal.testing import (
    TEMPLATE,
    assert_changes,
    assert_published,
    assert_receipt,
    journal_conn,
    journal_database,
)
from tests import rig

__all__ = ["journal_conn", "journal_database"]  # fixtures


@pytest.fixture
def journal_server(postgres: rig.Cluster) -> Iterator[PostgresServer]:
    """The rig's server stands for the one that the fixture would start."""
    postgres.create_database(TEMPLATE, template=rig.TEMPLATE)
    yield postgres.server
    postgres.admin.execute(f"drop database {TEMPLATE}")


@pytest.fixture
def step(conn: psycopg.Connection) -> journal.Step:
    conn.execute("create table orders (id int primary key)")
    journal.cover(conn, "orders")
    with journal.open_session(conn, agent="bot").step("order") as step:
        conn.execute("insert into orders values (1), (2)")
        outbox.publish(conn, topic="orders", key="1", data={"a": 1})
        step.complete("done")
    return step


def test_what_is_so_is_asserted(dsn: str, step: journal.Step) -> None:
    with psycopg.connect(dsn) as conn:
        assert_changes(conn, step.session_id, {"public.orders": {"insert": 2}})
        assert_changes(conn, uuid4(), {})
        assert_published(conn, topic="orders")
        assert_published(conn, topic="orders", key="1", data={"a": 1})
        assert_published(conn, topic="orders", key=None, times=0)
        assert_receipt(conn, step.receipt, changes={"public.orders": {"insert": 2}}, result="done")
        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda conn, step: assert_changes(conn, step.session_id, {"public.orders": {"insert": 1}}), "'insert': 2"),
        (lambda conn, _: assert_published(conn, topic="orders", data={"a": 2}), "expected 1, found 0"),
        (lambda conn, step: assert_receipt(conn, step.receipt, status="reversed"), "found 'committed'"),
        (lambda conn, step: assert_receipt(conn, step.receipt, result=1), "the receipt's result"),
        (lambda conn, step: assert_receipt(conn, step.id), "no such receipt"),
    ],
)
def test_what_is_not_so_fails(
    conn: psycopg.Connection, step: journal.Step, wrong: Callable[[Any, journal.Step], None], why: str
) -> None:
    with pytest.raises(AssertionError, match=why):
        wrong(conn, step)


def test_each_test_has_a_migrated_database(journal_conn: psycopg.Connection, journal_database: str) -> None:
    with journal.open_session(journal_conn, agent="bot").step("look"):
        pass
    with psycopg.connect(journal_database) as conn:
        assert conn.execute("select count(*) from journal.receipts").fetchone() == (1,)
