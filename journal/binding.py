"""Bind an open transaction to a session."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, overload
from uuid import UUID

from journal.connecting import call, link, session_id_text, supported
from journal.errors import TransactionRequired
from outbox.pg.flow import Acquire, Flow, GiveBack, InTransaction, run

if TYPE_CHECKING:
    from outbox.pg.connections.types import AsyncConn, Conn

_BIND = "select to_json(journal.bind((:session_id)::text::uuid, (:step_id)::text::uuid)::text)::text"


@overload
def bind(conn: Conn, session_id: UUID | str, step_id: UUID | str | None = None) -> None: ...


@overload
def bind(conn: AsyncConn, session_id: UUID | str, step_id: UUID | str | None = None) -> Awaitable[None]: ...


def bind(conn: Any, session_id: UUID | str, step_id: UUID | str | None = None) -> Any:
    """From here on, the open transaction's changes and messages belong to the session (and step).

    Raises `TransactionRequired`, `AlreadyBound`, `UnknownSession`, `SessionClosed`, `SessionStopped`, `NotSessionOwner`.
    """
    parameters = {"session_id": session_id_text(session_id), "step_id": None if step_id is None else str(step_id)}
    return run(supported(_bound(parameters)), link(conn))


def _bound(parameters: dict[str, str | None]) -> Flow[None]:
    yield Acquire()
    try:
        if not (yield InTransaction()):
            hint = "begin a transaction first: a binding lasts as long as its transaction"
            raise TransactionRequired("no transaction is open on this connection", hint=hint)
        yield from call(_BIND, **parameters)
    finally:
        yield GiveBack()


bind.__module__ = "journal"
