"""The example of the README, with autocommit on and off."""

from __future__ import annotations

import psycopg

import journal
import outbox
from tests.journal.steps.support import one


def test_the_example(db: psycopg.Connection, watch: psycopg.Connection) -> None:
    conn = db
    seen = []
    journal.cover(conn, "public.orders")
    with journal.open_session(conn, agent="billing-bot", task="ticket 8123") as agent:
        for _attempt in ("the call", "the framework's retry"):
            with agent.step("refund", key="order-42", arguments={"order": 42}) as step:
                if not step.replayed:
                    conn.execute("update orders set status = 'refunded' where id = 42")
                    outbox.publish(conn, topic="refunds", key="42", data={"order": 42})
                    step.complete({"refund": 991})
            assert step.receipt is not None
            seen.append((step.result, step.receipt.id, step.replayed))
    assert [(result, replayed) for result, _, replayed in seen] == [({"refund": 991}, False), ({"refund": 991}, True)]
    assert seen[0][1] == seen[1][1]
    assert one(watch, "select status from orders where id = 42") == "refunded"
    report = journal.rollback(conn, agent.id)
    assert "1 restore" in str(report)
    assert one(watch, "select status from orders where id = 42") == "new"
    assert one(watch, "select status from outbox.messages") == "cancelled"
    assert one(watch, "select reversed from journal.sessions where session_id = %s", agent.id) == "fully"
    assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
