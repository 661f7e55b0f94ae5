"""The inbox: a message that arrives twice is worked on once, with the work and its note in one commit."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest

import outbox
from tests.contract.kinds import KINDS, Kind, entered, execute
from tests.journal.steps.support import Beside, wait_until_blocked


@pytest.fixture
def mails(conn: psycopg.Connection) -> psycopg.Connection:
    conn.execute("create table mails (id int)")
    return conn


def count(conn: psycopg.Connection) -> int:
    return int(conn.execute("select count(*) from mails").fetchone()[0])  # type: ignore[index]


# Every kind once, and both worlds with autocommit on.
@pytest.mark.parametrize(
    ("kind", "autocommit"),
    [(kind, kind.name in {"psycopg", "sqlalchemy-async-session-asyncpg"}) for kind in KINDS],
    ids=[kind.name for kind in KINDS],
)
async def test_the_second_delivery_is_not_fresh(
    mails: psycopg.Connection, dsn: str, kind: Kind, autocommit: bool
) -> None:
    message = uuid4()
    async with kind.opened(dsn, autocommit) as conn:
        seen = []
        for _ in range(2):
            async with entered(outbox.inbox(conn, "mailer", message)) as inbox:
                if inbox.fresh:
                    await execute(inbox.conn, "insert into mails values (1)")
                seen.append(inbox.fresh)
        with pytest.raises(ZeroDivisionError):  # noqa: PT012  the work of the block fails
            async with entered(outbox.inbox(conn, "mailer", "another")) as inbox:
                await execute(inbox.conn, "insert into mails values (2)")
                raise ZeroDivisionError
        async with entered(outbox.inbox(conn, "mailer", "another")) as inbox:
            seen.append(inbox.fresh)
    assert seen == [True, False, True]
    assert count(mails) == 1


def test_a_consumer_has_an_inbox_of_its_own(conn: psycopg.Connection) -> None:
    for consumer in ("mailer", "ledger"):
        with outbox.inbox(conn, consumer, "m1") as inbox:
            assert inbox.fresh


def test_an_open_transaction_is_the_callers(mails: psycopg.Connection) -> None:
    with mails.transaction(force_rollback=True), outbox.inbox(mails, "mailer", "m1") as inbox:
        assert inbox.fresh
        mails.execute("insert into mails values (1)")
    with outbox.inbox(mails, "mailer", "m1") as inbox:
        assert inbox.fresh
    assert count(mails) == 0


def test_a_second_worker_waits_for_the_first(mails: psycopg.Connection, dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as other:

        def work() -> bool:
            with outbox.inbox(other, "mailer", "m1") as inbox:
                return inbox.fresh

        with outbox.inbox(mails, "mailer", "m1") as inbox:
            assert inbox.fresh
            beside = Beside(work)
            with psycopg.connect(dsn, autocommit=True) as watch:
                wait_until_blocked(watch, other.info.backend_pid)
        assert beside.outcome() is False


@pytest.mark.parametrize("named", [("", "m1"), ("mailer", ""), ("x" * 256, "m1")])
def test_who_and_what_have_names(conn: psycopg.Connection, named: tuple[str, str]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation), outbox.inbox(conn, *named):
        pytest.fail("the work began")
    assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_without_a_schema_it_says_so(empty_dsn: str) -> None:
    with (
        psycopg.connect(empty_dsn, autocommit=True) as conn,
        pytest.raises(outbox.OutboxError, match="schema"),
        outbox.inbox(conn, "mailer", "m1"),
    ):
        pytest.fail("the work began")
