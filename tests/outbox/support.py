"""What the outbox's tests share: publishing, sealing and reading what was sealed, in SQL as any client would."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

if TYPE_CHECKING:
    from collections.abc import Iterator

Connection = psycopg.Connection[Any]


def publish(conn: Connection, topic: str = "t", key: str | None = None, data: Any = None, **named: Any) -> UUID:
    """Publish in the connection's transaction; the message's id. `named` are further parameters of outbox.publish."""
    values = {"topic": topic, "key": key, "data": None if data is None else Jsonb(data)}
    values |= {name: Jsonb(value) if isinstance(value, dict) else value for name, value in named.items()}
    arguments = ", ".join(f"{name} => %({name})s" for name in values)
    return UUID(str(scalar(conn, f"select outbox.publish({arguments})", values)))


def seal(conn: Connection) -> int | None:
    """Seal in a transaction of its own; the seal's number, or None."""
    number: int | None = scalar(conn, "select outbox.seal()")
    return number


def scalar(conn: Connection, query: str, parameters: Any = None) -> Any:
    row = conn.execute(query, parameters).fetchone()
    return None if row is None else row[0]


def column(conn: Connection, query: str, parameters: Any = None) -> list[Any]:
    return [row[0] for row in conn.execute(query, parameters)]


def sealed(conn: Connection) -> list[UUID]:
    """Ids of all sealed messages in their order."""
    return column(conn, "select message_id from outbox.members(1, (select max(no) from outbox.seal)) order by seal, id")


def status(conn: Connection, message_id: UUID) -> str:
    return str(scalar(conn, "select status from outbox.messages where message_id = %s", [message_id]))


def open_session(conn: Connection, **named: Any) -> UUID:
    """A new agent session."""
    arguments = ", ".join(["'bot'", *(f"{name} => %({name})s" for name in named)])
    return UUID(str(scalar(conn, f"select journal.open_session({arguments})", named)))


def publish_in(conn: Connection, session_id: UUID, topic: str = "t", key: str | None = None, **named: Any) -> UUID:
    """Publish in a transaction of its own that is bound to the session."""
    with conn.transaction():
        conn.execute("select journal.bind(%s)", [session_id])
        return publish(conn, topic, key, **named)


def take_back(conn: Connection, *session_ids: UUID, rollback_id: UUID | None = None) -> dict[UUID, str]:
    """What outbox.take_back makes of each message of the sessions."""
    query = "select message_id, outcome from outbox.take_back(%s, null, %s)"
    return {row[0]: row[1] for row in conn.execute(query, [list(session_ids), rollback_id or uuid4()])}


@contextmanager
def rolling_back(dsn: str, *session_ids: UUID) -> Iterator[Connection]:
    """A rollback in flight: its transaction has locked the sessions and is open; the caller ends it."""
    with psycopg.connect(dsn) as other:
        other.execute(
            "select from journal.session where session_id = any(%s) order by session_id for update", [list(session_ids)]
        )
        yield other
