"""The sessions whose blocks enclose the caller, in this task or thread."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from journal.sessions import AgentSession, AsyncAgentSession

# Innermost last. Kept here and not in the sessions: one session may be entered several times, by several tasks.
_entered: ContextVar[tuple[AgentSession | AsyncAgentSession, ...]] = ContextVar("entered_sessions", default=())


def enter(session: AgentSession | AsyncAgentSession) -> None:
    """Make it the current session."""
    _entered.set((*_entered.get(), session))


def leave(session: AgentSession | AsyncAgentSession) -> None:
    """Undo the last entering; a task that never entered has nothing to undo."""
    entered = list(_entered.get())
    for place in reversed(range(len(entered))):
        if entered[place] is session:
            del entered[place]
            break
    _entered.set(tuple(entered))


def current_session() -> AgentSession | AsyncAgentSession:
    """The session whose block encloses the caller, in this task or thread. Raises `LookupError` outside."""
    entered = _entered.get()
    if not entered:
        raise LookupError("no agent session is open here: use `with journal.open_session(…)` around the call")
    return entered[-1]


current_session.__module__ = "journal"
