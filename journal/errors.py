"""Errors of the journal: SQLSTATE class JR, numbered in the order of this tree.

    JournalError                    JR000
    |- SchemaVersionError           JR001
    |- ConnectionUseError           JR002  UnsupportedConnection TransactionOpen TransactionRequired AlreadyBound
    |                                      ConcurrentStep
    |- SessionError                 JR008  UnknownSession SessionClosed SessionStopped NotSessionOwner
    |- StepError                    JR013  InvalidKey ArgumentsDiffer StepInProgress StepReversed StepFailed
    |                                      ReplayedStepWrites (JR020 is kept free) NotSerializable OutcomeUnknown
    |- WriteRefused                 JR023  UnboundWrite (JR025-JR027 are kept free) CaptureFailed
    |- CoverageError                JR029  NotCoverable StaleCoverage CoverageGap
    |- RollbackError                JR033  RollbackConflict RollbackRefused PlanChanged RollbackBusy TooManyRows
    `- ProofError                   JR039  UnknownReceipt (JR041 is kept free) UnknownKind

A number once given is never given again: outsiders match on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from outbox.pg import errors
from outbox.pg.errors import Fault


class JournalError(Fault):
    """Root of the errors of the journal."""

    sqlstate = "JR000"


class SchemaVersionError(JournalError):
    """The database is not migrated, or not to the version that this code expects."""

    sqlstate = "JR001"
    attributes = ("found", "expected")
    found: str | None
    expected: str | None


class ConnectionUseError(JournalError):
    """A connection was used in a way that could not keep our promises."""

    sqlstate = "JR002"


class UnsupportedConnection(ConnectionUseError, TypeError):
    """The object is no connection kind that we know, or not to PostgreSQL."""

    sqlstate = "JR003"


class TransactionOpen(ConnectionUseError):
    """A step owns its transaction, but one is open already; commit it first or pass ``join=True``."""

    sqlstate = "JR004"


class TransactionRequired(ConnectionUseError):
    """``bind`` works in a transaction, and none is open."""

    sqlstate = "JR005"


class AlreadyBound(ConnectionUseError):
    """The transaction is bound to another session."""

    sqlstate = "JR006"


class ConcurrentStep(ConnectionUseError):
    """Another task is inside a step on the same connection."""

    sqlstate = "JR007"


class SessionError(JournalError):
    """Something is wrong with the agent session."""

    sqlstate = "JR008"


class UnknownSession(SessionError):
    """There is no such session."""

    sqlstate = "JR009"


class SessionClosed(SessionError):
    """The session was closed."""

    sqlstate = "JR010"
    exit_code = 3


class SessionStopped(SessionError):
    """The session, or its agent, was stopped."""

    sqlstate = "JR011"
    exit_code = 3


class NotSessionOwner(SessionError):
    """The session was opened by another database user."""

    sqlstate = "JR012"
    exit_code = 3


class StepError(JournalError):
    """Something is wrong with a step."""

    sqlstate = "JR013"
    attributes: ClassVar[tuple[str, ...]] = ("tool", "key")
    tool: str | None
    key: str | None


class InvalidKey(StepError):
    """A key is text of 1 to 512 bytes."""

    sqlstate = "JR014"
    exit_code = 2


class ArgumentsDiffer(StepError):
    """The key was used before with other arguments; ``differences`` names the arguments."""

    sqlstate = "JR015"
    attributes = (*StepError.attributes, "differences")
    differences: list[str] | None


class StepInProgress(StepError):
    """Another caller is running the step of this key; it is not known yet how that ends."""

    sqlstate = "JR016"
    retryable = True
    exit_code = 6
    attributes = (*StepError.attributes, "retry_after")
    retry_after: float | None


class StepReversed(StepError):
    """The step of this key was rolled back; ``next_attempt`` runs it anew."""

    sqlstate = "JR017"
    attributes = (*StepError.attributes, "rollback_id", "next_attempt")
    rollback_id: str | None
    next_attempt: int | None


class StepFailed(StepError):
    """The step failed for good: raise it in a body to record ``result`` under the key; a retry gets it again."""

    sqlstate = "JR018"
    attributes = (*StepError.attributes, "result")
    result: Any

    def __init__(
        self,
        result: Any = None,
        *,
        message: str = "the step failed, and said so",
        hint: str | None = None,
        **values: Any,
    ) -> None:
        super().__init__(message, hint=hint, result=result, **values)

    @classmethod
    def told(cls, message: str, hint: str | None, values: Mapping[str, Any]) -> StepFailed:
        return cls(message=message, hint=hint, **values)


class ReplayedStepWrites(StepError):
    """The body of a replayed step tried to write; guard the writes with ``if not step.replayed``."""

    sqlstate = "JR019"


class NotSerializable(StepError, TypeError):
    """Results, arguments and details are strict JSON; ``path`` names the place that is not."""

    sqlstate = "JR021"
    exit_code = 2
    attributes = (*StepError.attributes, "path")
    path: str | None


class OutcomeUnknown(StepError):
    """The reply to COMMIT was lost. Calling again with the same key is safe."""

    sqlstate = "JR022"
    retryable = True


class WriteRefused(JournalError):
    """A write was refused before it took effect."""

    sqlstate = "JR023"
    attributes = ("table",)
    table: str | None
    exit_code = 3


class UnboundWrite(WriteRefused):
    """A named agent role wrote or published outside a bound session."""

    sqlstate = "JR024"


class CaptureFailed(WriteRefused):
    """The change could not be recorded, so it did not happen."""

    sqlstate = "JR028"


class CoverageError(JournalError):
    """Something is wrong with the coverage of a table."""

    sqlstate = "JR029"


class NotCoverable(CoverageError):
    """The table cannot be covered; ``reason`` says why."""

    sqlstate = "JR030"
    exit_code = 3
    attributes = ("reason",)
    reason: str | None


class StaleCoverage(CoverageError):
    """The shape of the table changed since it was covered; run ``journal cover``."""

    sqlstate = "JR031"


class CoverageGap(CoverageError):
    """Changes may have passed the journal by."""

    sqlstate = "JR032"
    exit_code = 3


class RollbackError(JournalError):
    """A rollback did not happen; ``plan`` holds what it would have done, where it is known."""

    sqlstate = "JR033"
    attributes: ClassVar[tuple[str, ...]] = ("plan",)
    plan: Any


class RollbackConflict(RollbackError):
    """Rows are no longer what the session left behind; ``conflicts`` lists them."""

    sqlstate = "JR034"
    exit_code = 3
    attributes = (*RollbackError.attributes, "conflicts")
    conflicts: Any


class RollbackRefused(RollbackError):
    """The rollback cannot be done; ``reasons`` says why."""

    sqlstate = "JR035"
    exit_code = 3
    attributes = (*RollbackError.attributes, "reasons")
    reasons: Any


class PlanChanged(RollbackError):
    """The database is no longer as the plan that was shown."""

    sqlstate = "JR036"
    exit_code = 6


class RollbackBusy(RollbackError):
    """Others hold what the rollback needs; ``blockers`` lists them. Nothing changed, try again."""

    sqlstate = "JR037"
    retryable = True
    exit_code = 6
    attributes = (*RollbackError.attributes, "blockers")
    blockers: Any


class TooManyRows(RollbackError):
    """The plan is larger than ``max_rows``."""

    sqlstate = "JR038"
    exit_code = 2
    attributes = (*RollbackError.attributes, "rows", "max_rows")
    rows: int | None
    max_rows: int | None


class ProofError(JournalError):
    """Something is wrong with a proof."""

    sqlstate = "JR039"


class UnknownReceipt(ProofError):
    """There is no such receipt."""

    sqlstate = "JR040"


class UnknownKind(ProofError):
    """There is no such kind of tool."""

    sqlstate = "JR042"
    exit_code = 2


def from_database(exc: BaseException) -> JournalError | None:
    """The error of ours that a driver's exception carries, or None: for errors that reach you through a driver call of your own.

    Takes what psycopg, SQLAlchemy (any dialect) or asyncpg raised.
    """
    fault = errors.from_database(exc)
    return fault if isinstance(fault, JournalError) else None


from_database.__module__ = "journal"
