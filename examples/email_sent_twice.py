"""The email sent twice.

A tool call takes effect, its reply is lost on the way, and the framework calls again: the customer gets a second email. Here the
email is a message of the call's own commit, and the second call finds its key taken: it gets the first one's result.

    python -m examples.email_sent_twice postgresql://…
"""

from __future__ import annotations

import sys

import psycopg

import journal
import outbox


@journal.tool(
    key=lambda order_id, template: f"{template}-{order_id}", arguments=["order_id", "template"], returns="envelope"
)
def send_email(step: journal.Step, order_id: int, template: str) -> dict[str, str]:
    """Send a customer an email about an order."""
    message = outbox.publish(
        step.conn, topic="emails", key=str(order_id), data={"order": order_id, "template": template}
    )
    step.conn.execute("insert into sent (order_id, template) values (%s, %s)", [order_id, template])
    return {"message": str(message)}


def framework_calls(order_id: int, *, lost_replies: int) -> dict[str, object]:
    """An agent framework: it calls until it gets an answer."""
    for _ in range(lost_replies):
        send_email(order_id, "apology")
        print("the reply was lost; the framework calls again")
    answer: dict[str, object] = send_email(order_id, "apology")
    return answer


def main(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("create table sent (order_id int, template text, primary key (order_id, template))")
        journal.cover(conn, "sent")
        with journal.open_session(conn, agent="support-bot") as agent:
            answer = framework_calls(42, lost_replies=2)
            print("replayed:", answer["replayed"])
        (emails,) = conn.execute("select count(*) from outbox.messages where topic = 'emails'").fetchone() or ()
        print("emails:", emails)
        for status, number in conn.execute(
            "select status, count(*) from journal.steps where session_id = %s group by status order by 1", [agent.id]
        ):
            print(f"{number} of the calls: {status}")


if __name__ == "__main__":
    main(sys.argv[1])
