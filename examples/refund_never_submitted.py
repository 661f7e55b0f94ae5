"""The refund that was never submitted.

An agent writes to a customer "your refund was submitted". No row says so: the model skipped the tool call. Here the service asks
for receipts before a reply leaves the house.

    python -m examples.refund_never_submitted postgresql://…
"""

from __future__ import annotations

import sys

import psycopg

import journal
import outbox


@journal.tool(kind="compensable", key=lambda order_id: f"order-{order_id}", arguments=["order_id"], returns="envelope")
def refund(step: journal.Step, order_id: int) -> dict[str, int]:
    """Refund an order."""
    step.conn.execute("update orders set status = 'refunded' where id = %s", [order_id])
    outbox.publish(step.conn, topic="refunds", key=str(order_id), data={"order": order_id})
    return {"order": order_id}


def reply(agent: journal.AgentSession, text: str, receipt: str | None) -> str:
    """What the service sends: what the agent wrote, if a receipt says so too."""
    check = agent.check_reply([(text, receipt)])
    return text if check else f"[held back, {check.claims[0].verdict}] {text}"


def main(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("create table orders (id int primary key, status text not null)")
        conn.execute("insert into orders values (42, 'paid')")
        journal.cover(conn, "orders")
        with journal.open_session(conn, agent="support-bot", task="ticket 8123") as agent:
            print(reply(agent, "Your refund was submitted.", receipt=None))  # the model only says so
            print(reply(agent, "Your refund was submitted.", receipt="rcpt_8123"))  # the model makes one up
            done = refund(42)
            print(reply(agent, "Your refund was submitted.", done["receipt"]))
        journal.rollback(conn, agent, reason="wrong customer")
        print(reply(agent, "As I said, your refund was submitted.", done["receipt"]))


if __name__ == "__main__":
    main(sys.argv[1])
