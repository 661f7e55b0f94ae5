"""Undo one agent session, make each step take effect once, prove what it did."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_ERRORS = (
    "AlreadyBound",
    "ArgumentsDiffer",
    "CaptureFailed",
    "ConcurrentStep",
    "ConnectionUseError",
    "CoverageError",
    "CoverageGap",
    "InvalidKey",
    "JournalError",
    "NotCoverable",
    "NotSerializable",
    "NotSessionOwner",
    "OutcomeUnknown",
    "PlanChanged",
    "ProofError",
    "ReplayedStepWrites",
    "RollbackBusy",
    "RollbackConflict",
    "RollbackError",
    "RollbackRefused",
    "SchemaVersionError",
    "SessionClosed",
    "SessionError",
    "SessionStopped",
    "StaleCoverage",
    "StepError",
    "StepFailed",
    "StepInProgress",
    "StepReversed",
    "TooManyRows",
    "TransactionOpen",
    "TransactionRequired",
    "UnboundWrite",
    "UnknownKind",
    "UnknownReceipt",
    "UnknownSession",
    "UnsupportedConnection",
    "WriteRefused",
)
_HOMES = {
    "AgentSession": "journal.sessions",
    "AsyncAgentSession": "journal.sessions",
    "AsyncExternal": "journal.external",
    "AsyncStep": "journal.steps",
    "External": "journal.external",
    "Claim": "journal.claims",
    "Receipt": "journal.receipts",
    "ReplyCheck": "journal.claims",
    "RollbackPlan": "journal.rollbacks",
    "RollbackReport": "journal.rollbacks",
    "Step": "journal.steps",
    "bind": "journal.binding",
    "confirm": "journal.receipts",
    "cover": "journal.coverage",
    "current_session": "journal.current",
    "from_database": "journal.errors",
    "open_session": "journal.opening",
    "plan_rollback": "journal.rollbacks",
    "receipt": "journal.receipts",
    "resume_agent": "journal.stopping",
    "resume_session": "journal.opening",
    "rollback": "journal.rollbacks",
    "stop_agent": "journal.stopping",
    "stop_session": "journal.stopping",
    "tool": "journal.tools",
    "uncover": "journal.coverage",
    **dict.fromkeys(_ERRORS, "journal.errors"),
}
__all__ = tuple(_HOMES)

if TYPE_CHECKING:
    from journal.binding import bind as bind
    from journal.claims import Claim as Claim
    from journal.claims import ReplyCheck as ReplyCheck
    from journal.coverage import cover as cover
    from journal.coverage import uncover as uncover
    from journal.current import current_session as current_session
    from journal.errors import *  # noqa: F403
    from journal.errors import from_database as from_database
    from journal.external import AsyncExternal as AsyncExternal
    from journal.external import External as External
    from journal.opening import open_session as open_session
    from journal.opening import resume_session as resume_session
    from journal.receipts import Receipt as Receipt
    from journal.receipts import confirm as confirm
    from journal.receipts import receipt as receipt
    from journal.rollbacks import RollbackPlan as RollbackPlan
    from journal.rollbacks import RollbackReport as RollbackReport
    from journal.rollbacks import plan_rollback as plan_rollback
    from journal.rollbacks import rollback as rollback
    from journal.sessions import AgentSession as AgentSession
    from journal.sessions import AsyncAgentSession as AsyncAgentSession
    from journal.steps import AsyncStep as AsyncStep
    from journal.steps import Step as Step
    from journal.stopping import resume_agent as resume_agent
    from journal.stopping import stop_agent as stop_agent
    from journal.stopping import stop_session as stop_session
    from journal.tools import tool as tool


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'journal' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
