"""How the journal's operations meet a connection: errors are ours, and asynchronous connections get awaitables."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from journal.errors import (
    JournalError,
    NotSerializable,
    OutcomeUnknown,
    SchemaVersionError,
    UnknownSession,
    UnsupportedConnection,
)
from outbox.pg import connections
from outbox.pg.connections import UnknownConnectionKind
from outbox.pg.errors import NOT_MIGRATED, is_driver_error, reraised, sqlstate_of
from outbox.pg.flow import CommitLost, Flow, Link, run, scalar, transaction
from outbox.pg.strict_json import NotJson, dumps

T = TypeVar("T")


def link(conn: Any) -> Link:
    """What runs effects on `conn`. Raises `UnsupportedConnection`."""
    try:
        return connections.link(conn)
    except UnknownConnectionKind as error:
        raise UnsupportedConnection(str(error), hint=error.hint) from None


def perform(conn: Any, work: Callable[[], Flow[T]]) -> T | Awaitable[T]:
    """Do `work` in the caller's open transaction, or in one of our own."""
    return run(supported(transaction(work())), link(conn))


async def awaited(value: Any) -> Any:
    """What `perform` answers on an asynchronous connection."""
    return await value


def supported(flow: Flow[T]) -> Flow[T]:
    """A session or engine tells its dialect only when it is asked for a connection; any commit of our own may be lost."""
    try:
        return (yield from flow)
    except UnknownConnectionKind as error:
        raise UnsupportedConnection(str(error), hint=error.hint) from None
    except CommitLost as lost:
        hint = "call again: under the same key, run_id or name it takes effect once"
        raise OutcomeUnknown("the connection was lost during COMMIT", hint=hint) from lost


def call(sql: str, **parameters: str | None) -> Flow[Any]:
    """The value of one statement of ours, decoded from JSON. Errors that the database raised come as ours."""
    try:
        with reraised():
            answer = yield from scalar(sql, **parameters)
    except Exception as error:
        if is_driver_error(error) and sqlstate_of(error) in NOT_MIGRATED:
            raise SchemaVersionError(
                "this database does not have the journal's schema, or has another version of it",
                hint="run journal migrate",
            ) from error
        raise
    return None if answer is None else json.loads(answer)


def json_text(value: Any, name: str) -> str | None:
    """The value as strict JSON, None as SQL null. Raises `NotSerializable`."""
    try:
        return None if value is None else dumps(value, name)
    except NotJson as error:
        raise NotSerializable(
            str(error), hint="convert it to dicts, lists, text, numbers and booleans", path=error.path
        ) from None


def plain_text(value: Any, name: str, refused: Callable[[str], JournalError]) -> str | None:
    """The value as the database takes text, None as SQL null; anything else is `refused`."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise _hinted(refused(f"{name} is text, not {type(value).__name__}"), "write str(…)")
    if "\0" in value or _has_surrogate(value):
        raise _hinted(
            refused(f"{name} is text without NUL and lone surrogates"), "PostgreSQL stores neither: leave them out"
        )
    return value


def _hinted(error: JournalError, hint: str) -> JournalError:
    error.advise(hint)
    return error


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def json_object(value: Any, name: str) -> str:
    """A mapping as a JSON object, None as an empty one. Raises `NotSerializable`."""
    if not isinstance(value, Mapping | None):
        raise NotSerializable(
            f"{name} is a JSON object, not {type(value).__name__}",
            hint="pass a dict of what is worth noting",
            path=name,
        )
    return json_text(dict(value or {}), name) or "{}"


def session_id_text(value: Any) -> str:
    """The id of a session, given as a UUID, as text or as the session itself."""
    identifier = getattr(value, "id", value)
    try:
        return str(identifier if isinstance(identifier, UUID) else UUID(identifier))
    except (ValueError, TypeError, AttributeError):
        raise UnknownSession("this is not the id of a session", hint="a session's id is a UUID") from None
