"""Isolation levels: a step runs at its connection's, and steps that touch different rows do not fail each other."""

from __future__ import annotations

import psycopg
import pytest

import journal
import outbox
from tests.journal.steps.conftest import Connect
from tests.journal.steps.support import note, one

LEVELS = [psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE]


@pytest.mark.parametrize("level", LEVELS)
def test_a_step_runs_at_the_level_of_its_connection(
    connect: Connect, db: psycopg.Connection, level: psycopg.IsolationLevel
) -> None:
    assert db is not None
    conn = connect()
    conn.isolation_level = level
    session = journal.open_session(conn, agent="bot")
    with session.step("note"):
        assert one(conn, "show transaction_isolation") == level.name.lower().replace("_", " ")
        note(conn)
    assert journal.rollback(conn, session).outcome == "done"


def test_serializable_steps_on_different_rows_do_not_fail_each_other(connect: Connect, db: psycopg.Connection) -> None:
    """All begin, all write, all end: each page of the journal that one of them read was written by the others before."""
    with db.transaction():
        db.execute("insert into orders select g, 'new' from generate_series(1000, 8999) g")
    db.autocommit = True
    db.execute("analyze orders")
    conns = [connect() for _ in range(4)]
    for conn in conns:
        conn.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    sessions = [journal.open_session(conn, agent="bot") for conn in conns]
    for round_ in range(10):
        steps = [session.step("note", key=f"{n}-{round_}", wait=0) for n, session in enumerate(sessions)]
        for step in steps:
            step.__enter__()
        for n, conn in enumerate(conns):
            conn.execute("update orders set status = 'x' where id = %s", (1000 + n * 2000 + round_,))
            outbox.publish(conn, topic="orders")
        for step in steps:
            step.__exit__(None, None, None)


def test_an_external_effect_is_not_failed_after_it_was_made(connect: Connect, db: psycopg.Connection) -> None:
    """All are announced, all are made, all end: at a stronger level their commits would fail one another."""
    assert db is not None
    conns = [connect() for _ in range(4)]
    for conn in conns:
        conn.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    sessions = [journal.open_session(conn, agent="bot") for conn in conns]
    effects = [session.external("charge", key=f"{n}") for n, session in enumerate(sessions)]
    for effect in effects:
        effect.__enter__()
    for conn in conns:
        assert one(conn, "show transaction_isolation") == "read committed"
        note(conn)
    for effect in effects:
        effect.__exit__(None, None, None)
        with sessions[0].external("charge", key=str(effect.key)) as again:
            assert again.replayed


def test_joined_serializable_steps_do_not_fail_each_other(connect: Connect, db: psycopg.Connection) -> None:
    """Several steps in each of two transactions, in turns: each receipt is counted while the other transaction writes its own."""
    with db.transaction():
        db.execute("insert into orders select g, 'new' from generate_series(1000, 8999) g")
    db.autocommit = True
    db.execute("analyze orders")
    conns = [connect() for _ in range(2)]
    sessions = [journal.open_session(conn, agent="bot") for conn in conns]
    for round_ in range(5):
        for conn in conns:
            conn.execute("begin isolation level serializable")
        receipts = []
        for turn in range(3):
            for n, (conn, session) in enumerate(zip(conns, sessions, strict=True)):
                with session.step("note", key=f"{round_}-{turn}-{n}", join=True) as step:
                    for row in (0, 1):
                        place = 1000 + n * 4000 + round_ * 100 + turn * 10 + row
                        conn.execute("update orders set status = 'x' where id = %s", (place,))
                    message = outbox.publish(conn, topic="orders")
                receipts.append((step.receipt, message))
        for conn in conns:
            conn.execute("commit")
        for receipt, message in receipts:
            assert receipt is not None
            assert receipt.changes == {"public.orders": {"update": 2}}
            assert receipt.message_ids == (message,)


@pytest.mark.parametrize(
    "forgery",
    [
        "select set_config('journal.notes', '', true)",
        "select set_config('journal.notes', %(earlier)s, true)",
        "savepoint s; insert into notes (note) values ('gone'); rollback to savepoint s",
    ],
    ids=["emptied", "turned back", "rolled back"],
)
def test_what_a_serializable_receipt_counts_cannot_be_forged(
    db: psycopg.Connection, connect: Connect, forgery: str
) -> None:
    assert db is not None
    conn = connect()
    conn.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    with journal.open_session(conn, agent="bot").step("note") as step:
        earlier = one(conn, "select current_setting('journal.notes')")
        note(conn)
        message = outbox.publish(conn, topic="orders")
        for statement in forgery.split("; "):
            conn.execute(statement.encode(), {"earlier": earlier} if "earlier" in statement else None)
    assert step.receipt is not None
    assert step.receipt.changes == {"public.notes": {"insert": 1}}
    assert step.receipt.message_ids == (message,)
