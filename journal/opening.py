"""Open an agent session, or go on with one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload
from uuid import UUID

from journal.connecting import awaited, call, json_object, link, perform, plain_text, session_id_text
from journal.errors import SessionError
from journal.sessions import AgentSession, AsyncAgentSession, SessionFacts
from outbox.pg.flow import Flow

if TYPE_CHECKING:
    from outbox.pg.connections.types import AsyncConn, Conn

_OPEN = """
select journal.resume_session(journal.open_session(
           agent => (:agent)::text, task => (:task)::text, parent => (:parent)::text::uuid, details => (:details)::text::jsonb,
           run_id => (:run_id)::text, tenant => (:tenant)::text, hold => (:hold)::text, role => (:role)::text))::text
"""
_RESUME = "select journal.resume_session((:session_id)::text::uuid)::text"


class AsyncOpening:
    """A session that is being opened: `await` it, or enter it by `async with`."""

    def __init__(self, opening: Any) -> None:
        self._opening = opening
        self._session: AsyncAgentSession | None = None

    def __await__(self) -> Generator[Any, None, AsyncAgentSession]:
        return self._opening.__await__()  # type: ignore[no-any-return]

    async def __aenter__(self) -> AsyncAgentSession:
        self._session = await self._opening
        return await self._session.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.__aexit__(kind, error, trace)


@overload
def open_session(
    conn: Conn,
    *,
    agent: str,
    task: str = "",
    run_id: str | None = None,
    parent: UUID | str | None = None,
    tenant: str = "",
    role: str | None = None,
    hold: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> AgentSession: ...


@overload
def open_session(
    conn: AsyncConn,
    *,
    agent: str,
    task: str = "",
    run_id: str | None = None,
    parent: UUID | str | None = None,
    tenant: str = "",
    role: str | None = None,
    hold: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> AsyncOpening: ...


def open_session(
    conn: Any,
    *,
    agent: str,
    task: str = "",
    run_id: str | None = None,
    parent: UUID | str | None = None,
    tenant: str = "",
    role: str | None = None,
    hold: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> AgentSession | AsyncOpening:
    """Open an agent session: a value, and a context manager that closes it.

    `run_id`: unique per tenant and agent; where it names an open session, that one is returned. `parent`: the session that this
    one works for. `role`: set (`set local role`) in each step. `hold`: default of its messages: 'close' or a duration such
    as '30s'. `details`: a JSON object. Raises `SessionClosed`, `SessionStopped`, `NotSessionOwner`, `NotSerializable`.
    """
    named = {"agent": agent, "task": task, "run_id": run_id, "tenant": tenant, "role": role, "hold": hold}
    parameters = {
        **{name: plain_text(value, name, SessionError) for name, value in named.items()},
        "parent": None if parent is None else session_id_text(parent),
        "details": json_object(details, "details"),
    }
    return _opened(conn, lambda: call(_OPEN, **parameters), closes=True)


@overload
def resume_session(conn: Conn, session_id: UUID | str) -> AgentSession: ...


@overload
def resume_session(conn: AsyncConn, session_id: UUID | str) -> AsyncOpening: ...


def resume_session(conn: Any, session_id: UUID | str) -> AgentSession | AsyncOpening:
    """Go on with an open session, on this or another connection; leaving it does not close it.

    Raises `UnknownSession`, `SessionClosed`, `SessionStopped`, `NotSessionOwner`.
    """
    wanted = session_id_text(session_id)
    return _opened(conn, lambda: call(_RESUME, session_id=wanted), closes=False)


def _opened(conn: Any, work: Callable[[], Flow[Any]], *, closes: bool) -> AgentSession | AsyncOpening:
    if link(conn).is_async:
        return AsyncOpening(_opened_async(conn, work, closes=closes))
    return AgentSession(conn, _facts(perform(conn, work)), closes=closes)


async def _opened_async(conn: Any, work: Callable[[], Flow[Any]], *, closes: bool) -> AsyncAgentSession:
    return AsyncAgentSession(conn, _facts(await awaited(perform(conn, work))), closes=closes)


def _facts(row: Any) -> SessionFacts:
    return SessionFacts(UUID(row["session_id"]), row["agent"], row["task"], row["tenant"], row["role"])


open_session.__module__ = resume_session.__module__ = "journal"
