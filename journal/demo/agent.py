"""The agent: one session, three kinds of mistakes and misfortunes."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import psycopg

import journal
import outbox
from journal.demo.lost_reply import LossyProxy
from journal.demo.shop import DELETED_CUSTOMERS, REFUNDED_ORDERS, REPRICED_PRODUCTS, Connection

NAME = "shop-assistant"
TASK = "spring sale, tidy up customers, refunds"
WRONG_FACTOR = "10.0"  # the task said 0.90
_BATCH = 500


@dataclass(frozen=True)
class Calls:
    """How the agent's refund tool was called: `refunds` asked for, `calls` made, of which `lost` never heard their reply."""

    refunds: int
    calls: int
    lost: int
    replayed: int


def open_session(conn: Connection) -> UUID:
    return UUID(str(journal.open_session(conn, agent=NAME, task=TASK).id))


def reprice(conn: Connection, session_id: UUID) -> None:
    """Every price times ten, batch by batch. The catalogue hears of prices only when the session is closed."""
    session = journal.resume_session(conn, session_id)
    for first in REPRICED_PRODUCTS[::_BATCH]:
        last = first + _BATCH - 1
        with session.step("reprice", arguments={"from": first, "to": last}):
            conn.execute(
                "update products set price = price * %s where id between %s and %s", [WRONG_FACTOR, first, last]
            )
            outbox.publish(
                conn, topic="prices", key=f"catalogue-{first}", data={"from": first, "to": last}, hold="close"
            )


def delete_customers(conn: Connection, session_id: UUID) -> None:
    """Customers without a newsletter, it thought. Their orders and the items of these go with them."""
    session = journal.resume_session(conn, session_id)
    with session.step("delete_customers"):
        conn.execute("delete from customers where id between %s and %s", [DELETED_CUSTOMERS[0], DELETED_CUSTOMERS[-1]])


def refund_orders(session_id: UUID, dsn: str, proxy: LossyProxy) -> Calls:
    """Refund order after order through a line that loses every other reply; the framework calls again with the same key."""
    calls = replayed = 0
    for number, order in enumerate(REFUNDED_ORDERS):
        unlucky = number % 2 == 0
        answered = False
        while not answered:
            calls += 1
            try:
                replayed += _refund(session_id, dsn, order, proxy if unlucky else None)
                answered = True
            except journal.OutcomeUnknown:
                unlucky = False  # no reply came: the framework calls again, and this time the line holds
    return Calls(len(REFUNDED_ORDERS), calls, proxy.lost, replayed)


def _refund(session_id: UUID, dsn: str, order: int, line: LossyProxy | None) -> bool:
    """One tool call on a connection of its own; true when it had been done before. `line` loses the reply to its COMMIT."""
    with psycopg.connect(dsn, autocommit=True, application_name="agent") as conn:
        session = journal.resume_session(conn, session_id)
        with session.step("refund", key=f"order-{order}", arguments={"order": order}) as step:
            if not step.replayed:
                conn.execute("update orders set status = 'refunded' where id = %s", [order])
                conn.execute("insert into refunds (order_id, amount, reason) values (%s, 9.99, 'asked for')", [order])
                outbox.publish(conn, topic="refunds", key=f"order-{order}", data={"order": order})
                step.complete({"refunded": order})
            if line is not None:
                line.lose_next()
        return bool(step.replayed)
