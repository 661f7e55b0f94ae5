"""Stop a session or an agent: from the commit on it binds no transaction any more."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, overload
from uuid import UUID

from journal.connecting import call, perform, plain_text, session_id_text
from journal.errors import SessionError

if TYPE_CHECKING:
    from outbox.pg.connections.types import AsyncConn, Conn

STOP_SESSION = "select to_json(journal.stop_session((:session_id)::text::uuid, (:reason)::text)::text)::text"
_STOP_AGENT = "select to_json(journal.stop_agent((:agent)::text, (:reason)::text)::text)::text"
_RESUME_AGENT = "select to_json(journal.resume_agent((:agent)::text))::text"


@overload
def stop_session(conn: Conn, id: UUID | str, reason: str) -> None: ...


@overload
def stop_session(conn: AsyncConn, id: UUID | str, reason: str) -> Awaitable[None]: ...


def stop_session(conn: Any, id: UUID | str, reason: str) -> Any:  # noqa: A002  the contract's name
    """Stop a session and its child sessions for good. A step that is running may still commit. Raises `UnknownSession`.

    A session that is not open stays as it is.
    """
    wanted, why = session_id_text(id), plain_text(reason, "a reason", SessionError)
    return perform(conn, lambda: call(STOP_SESSION, session_id=wanted, reason=why))


@overload
def stop_agent(conn: Conn, name: str, reason: str) -> None: ...


@overload
def stop_agent(conn: AsyncConn, name: str, reason: str) -> Awaitable[None]: ...


def stop_agent(conn: Any, name: str, reason: str) -> Any:
    """Stop all sessions of an agent, and its opening of new ones, until `resume_agent`.

    An agent is the name that it gives itself: what may open sessions under another name is kept from it by its database role.
    """
    agent, why = plain_text(name, "the name of an agent", SessionError), plain_text(reason, "a reason", SessionError)
    return perform(conn, lambda: call(_STOP_AGENT, agent=agent, reason=why))


@overload
def resume_agent(conn: Conn, name: str) -> bool: ...


@overload
def resume_agent(conn: AsyncConn, name: str) -> Awaitable[bool]: ...


def resume_agent(conn: Any, name: str) -> Any:
    """Let a stopped agent work again. Returns whether it was stopped. Sessions stopped one by one stay stopped."""
    agent = plain_text(name, "the name of an agent", SessionError)
    return perform(conn, lambda: call(_RESUME_AGENT, agent=agent))


for _public in (stop_session, stop_agent, resume_agent):
    _public.__module__ = "journal"
