"""Publish a message: a row of the caller's own transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, overload
from uuid import UUID

from outbox.errors import NotSerializable, OutboxError
from outbox.pg.connections import link
from outbox.pg.errors import NOT_MIGRATED, is_driver_error, reraised, sqlstate_of
from outbox.pg.flow import CommitLost, Flow, adrive, drive, scalar, transaction
from outbox.pg.strict_json import NotJson, dumps

if TYPE_CHECKING:
    from outbox.pg.connections.types import AsyncConn, Conn

_PUBLISH = """
select outbox.publish(
    topic => (:topic)::text, key => (:key)::text, data => (:data)::text::jsonb, headers => (:headers)::text::jsonb,
    type => (:type)::text, hold => (:hold)::text, compensation => (:compensation)::text::jsonb)::text
"""

# What was published asynchronously inside a step and not awaited yet; the step looks here before it commits.
unawaited: ContextVar[list[Publishing] | None] = ContextVar("unawaited", default=None)


@overload
def publish(
    conn: Conn,
    *,
    topic: str,
    key: str | None = None,
    data: Any = None,
    headers: Mapping[str, Any] | None = None,
    type: str | None = None,
    hold: str | None = None,
    compensation: Any = None,
) -> UUID: ...


@overload
def publish(
    conn: AsyncConn,
    *,
    topic: str,
    key: str | None = None,
    data: Any = None,
    headers: Mapping[str, Any] | None = None,
    type: str | None = None,
    hold: str | None = None,
    compensation: Any = None,
) -> Awaitable[UUID]: ...


def publish(
    conn: Any,
    *,
    topic: str,
    key: str | None = None,
    data: Any = None,
    headers: Mapping[str, Any] | None = None,
    type: str | None = None,  # noqa: A002  the word of CloudEvents
    hold: str | None = None,
    compensation: Any = None,
) -> UUID | Awaitable[UUID]:
    """Write a message into the outbox, in the open transaction; where none is open, in one of its own.

    `key`: messages of one key are delivered in order. `data`, `headers`: strict JSON. `hold`: 'close' (until the session closes),
    or a duration such as '30s'. `compensation`: data of the message that takes this one back, should a rollback come after it was
    sent.

    Returns the id of the message; on an asynchronous connection an awaitable of it, which a step insists on being awaited.
    Raises `NotSerializable`, `InvalidTopic`, `MessageTooLarge`.
    """
    parameters = {
        "topic": topic,
        "key": key,
        "data": _json(data, "data"),
        "headers": _json(dict(headers or {}), "headers"),
        "type": type,
        "hold": hold,
        "compensation": _json(compensation, "compensation"),
    }
    connection = link(conn)
    flow = _committed(transaction(_published(parameters)))
    return Publishing(flow, connection) if connection.is_async else drive(flow, connection)


def _published(parameters: Mapping[str, str | None]) -> Flow[UUID]:
    try:
        with reraised():
            return UUID((yield from scalar(_PUBLISH, **parameters)))
    except Exception as error:
        if is_driver_error(error) and sqlstate_of(error) in NOT_MIGRATED:
            raise OutboxError("this database does not have the outbox's schema", hint="run journal migrate") from error
        raise


def _committed(flow: Flow[UUID]) -> Flow[UUID]:
    try:
        return (yield from flow)
    except CommitLost as lost:
        raise OutboxError(
            "the connection was lost during COMMIT: nobody knows whether the message was published",
            hint="look for it in outbox.messages before you publish it again",
        ) from lost


def _json(value: Any, name: str) -> str | None:
    try:
        return None if value is None else dumps(value, name)
    except NotJson as error:
        raise NotSerializable(
            str(error), hint="convert it to dicts, lists, text, numbers and booleans", path=error.path
        ) from error


class Publishing:
    """A message on its way into the outbox; await it once."""

    def __init__(self, flow: Flow[UUID], connection: Any) -> None:
        self._flow = flow
        self._connection = connection
        pending = unawaited.get()
        if pending is not None:
            pending.append(self)

    def __await__(self) -> Generator[Any, None, UUID]:
        pending = unawaited.get()
        if pending is not None and self in pending:
            pending.remove(self)
        return adrive(self._flow, self._connection).__await__()


def refuse_unawaited(pending: list[Publishing]) -> None:
    """Raise where a message was published in vain."""
    if pending:
        raise OutboxError(
            "outbox.publish(…) was not awaited", hint="on an asynchronous connection: await outbox.publish(…)"
        )


publish.__module__ = "outbox"
