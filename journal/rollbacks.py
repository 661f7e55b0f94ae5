"""Plan a rollback, and carry it out. What is decided about rows is decided in SQL (`journal.rollback_report`)."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload
from uuid import UUID

from journal.connecting import call, link, perform, session_id_text, supported
from journal.errors import OutcomeUnknown, RollbackBusy, RollbackConflict, RollbackError, RollbackRefused
from journal.stopping import STOP_SESSION
from outbox.pg.flow import Acquire, CommitLost, Flow, GiveBack, InTransaction, own_transaction, run

if TYPE_CHECKING:
    from outbox.pg.connections.types import AsyncConn, Conn

_REPORT = """
select journal.rollback_report(
    session_ids => (:session_ids)::text::uuid[], step_ids => (:step_ids)::text::uuid[], on_conflict => (:on_conflict)::text,
    mode => (:mode)::text, expected_digest => (:expected_digest)::text, reason => (:reason)::text,
    max_rows => (:max_rows)::text::bigint, wait => make_interval(secs => (:wait)::text::float8))::text
"""
_DONE = frozenset({"done", "partly", "nothing"})
_WORDS = ("restore", "remove", "reinsert", "adjust", "force", "conflict", "refuse")

# The session that is meant: its id, or the session itself.
SessionLike = Any


@dataclass(frozen=True)
class RollbackPlan:
    """What a rollback would do. `str(plan)` is for people, `as_json()` the whole of it; `journal.rollback` takes it as it is."""

    __module__ = "journal"

    _json: Mapping[str, Any] = field(hash=False, repr=False)

    @property
    def digest(self) -> str:
        """Names this plan: a rollback of it raises `PlanChanged` where it would do something else now."""
        return str(self._json["plan_digest"])

    @property
    def outcome(self) -> str:
        """planned, nothing or refused."""
        return str(self._json["outcome"])

    @property
    def rows(self) -> Mapping[str, int]:
        """How many rows get which fate; they add up to total."""
        return dict(self._json["rows"])

    @property
    def conflicts(self) -> list[Mapping[str, Any]]:
        """Rows that are no longer what the session left behind: table, key, column, reason, base, ours, theirs, their."""
        return list(self._json["conflicts"])

    @property
    def residue(self) -> list[Mapping[str, Any]]:
        """What cannot be undone."""
        return list(self._json["residue"])

    def as_json(self) -> dict[str, Any]:
        """The document `journal.rollback/1`."""
        return dict(self._json)

    def __str__(self) -> str:
        return _told(self._json)


@dataclass(frozen=True)
class RollbackReport:
    """What a rollback did. `str(report)` is for people, `as_json()` the whole of it."""

    __module__ = "journal"

    _json: Mapping[str, Any] = field(hash=False, repr=False)

    @property
    def rollback_id(self) -> UUID | None:
        """Id of the rollback, which is a session: roll it back to redo. None where there was nothing to roll back."""
        return UUID(self._json["rollback_id"]) if self._json["rollback_id"] else None

    @property
    def outcome(self) -> str:
        """done, partly (conflicts were skipped, or something cannot be undone) or nothing."""
        return str(self._json["outcome"])

    @property
    def digest(self) -> str:
        """The digest of the plan that was carried out."""
        return str(self._json["plan_digest"])

    @property
    def rows(self) -> Mapping[str, int]:
        """How many rows had which fate; they add up to total."""
        return dict(self._json["rows"])

    @property
    def conflicts(self) -> list[Mapping[str, Any]]:
        """Rows that were left as they are: table, key, column, reason, base, ours, theirs, their."""
        return list(self._json["conflicts"])

    @property
    def residue(self) -> list[Mapping[str, Any]]:
        """What could not be undone."""
        return list(self._json["residue"])

    def as_json(self) -> dict[str, Any]:
        """The document `journal.rollback/1`."""
        return dict(self._json)

    def __str__(self) -> str:
        return _told(self._json)


def _told(report: Mapping[str, Any]) -> str:
    fates = ", ".join(f"{report['rows'][word]:,} {word}" for word in _WORDS if report["rows"].get(word))
    taken = report.get("messages") or {}
    messages = ", ".join(f"{taken[word]:,} {word}" for word in ("cancel", "compensate", "sent") if taken.get(word))
    sessions = ", ".join(session["session_id"] for session in report["sessions"])
    lines = [
        f"rollback of {sessions}: {report['outcome']}",
        f"  rows: {fates or 'none'}",
        *([f"  messages: {messages}"] if messages else []),
        *(f"  conflict: {item['table']} {item['key']} {item['reason']}" for item in report["conflicts"]),
        *(f"  residue: {item['kind']} {item['reason']}" for item in report["residue"]),
        *(f"  note: {item['kind']} {item['name']}: {item['reason']}" for item in report.get("notes", ())),
        *([f"  redo: {report['redo']}"] if report.get("redo") else []),
    ]
    return "\n".join(lines)


@overload
def plan_rollback(
    conn: Conn,
    sessions: SessionLike | Iterable[SessionLike],
    *,
    steps: Iterable[UUID | str] | None = None,
    on_conflict: str = "refuse",
) -> RollbackPlan: ...


@overload
def plan_rollback(
    conn: AsyncConn,
    sessions: SessionLike | Iterable[SessionLike],
    *,
    steps: Iterable[UUID | str] | None = None,
    on_conflict: str = "refuse",
) -> Awaitable[RollbackPlan]: ...


def plan_rollback(
    conn: Any,
    sessions: SessionLike | Iterable[SessionLike],
    *,
    steps: Iterable[UUID | str] | None = None,
    on_conflict: str = "refuse",
) -> Any:
    """What `rollback` would do now, without doing it: changes no row, stops nothing.

    One row of each table with BEFORE UPDATE triggers is updated to itself in a savepoint that is rolled back, to find the columns
    that they keep; so these triggers run, with your rights.

    `sessions`: one id or many. `steps`: only these steps of them. `on_conflict`: as of `rollback`. Raises `UnknownSession`.
    """
    parameters = _parameters(sessions, steps, on_conflict)
    return perform(conn, lambda: _planned(parameters))


def is_undoable(plan: RollbackPlan) -> bool:
    """Whether carrying it out would leave nothing behind."""
    return plan.outcome != "refused" and not plan.conflicts and not plan.residue


def _planned(parameters: dict[str, str | None]) -> Flow[RollbackPlan]:
    return RollbackPlan((yield from call(_REPORT, **parameters, mode="plan", reason="", max_rows=None, wait="30")))


@overload
def rollback(
    conn: Conn,
    what: RollbackPlan | SessionLike | Iterable[SessionLike],
    *,
    steps: Iterable[UUID | str] | None = None,
    on_conflict: str = "refuse",
    reason: str = "",
    max_rows: int | None = None,
    wait: float = 30.0,
) -> RollbackReport: ...


@overload
def rollback(
    conn: AsyncConn,
    what: RollbackPlan | SessionLike | Iterable[SessionLike],
    *,
    steps: Iterable[UUID | str] | None = None,
    on_conflict: str = "refuse",
    reason: str = "",
    max_rows: int | None = None,
    wait: float = 30.0,
) -> Awaitable[RollbackReport]: ...


def rollback(
    conn: Any,
    what: RollbackPlan | SessionLike | Iterable[SessionLike],
    *,
    steps: Iterable[UUID | str] | None = None,
    on_conflict: str = "refuse",
    reason: str = "",
    max_rows: int | None = None,
    wait: float = 30.0,
) -> Any:
    """Undo what sessions did, all or nothing, and leave everybody else's work alone. The rollback can be rolled back.

    `what`: one session id or many, or a plan, which is then carried out as it was shown. `steps`: only these steps.
    `on_conflict`: 'refuse' (default: nothing happens), 'skip' (the other rows are restored), 'cascade' (also the sessions that
    built on these) or 'force' (overwrites what came later). `max_rows`: refuse a larger plan. `wait`: seconds to wait for locks.

    Where no transaction is open, all sessions concerned are stopped first, for good (not with `steps`), and the rollback
    commits. In a transaction of the caller's nothing is committed; a session that is still open raises `RollbackBusy` there.

    Returns the report; that there was nothing to roll back is a report too. Raises `RollbackConflict`, `RollbackRefused`,
    `PlanChanged`, `RollbackBusy`, `TooManyRows`, `UnknownSession`: then no row has changed. `OutcomeUnknown` where the connection
    was lost during COMMIT: `journal.rollbacks` has a row if it took effect, and rolling back again is safe.
    """
    expected = None
    if isinstance(what, RollbackPlan):
        shown = what.as_json()
        named = [session["session_id"] for session in shown["sessions"] if session["why"] == "named"]
        expected = what.digest
        what, steps, on_conflict = named, shown["steps"], shown["on_conflict"]
    parameters = _parameters(what, steps, on_conflict, expected) | {
        "mode": "apply",
        "reason": reason,
        "max_rows": None if max_rows is None else str(max_rows),
        "wait": str(float(wait)),
    }
    named = [] if steps is not None else _ids(what)
    return run(supported(_rolled_back(parameters, named, reason)), link(conn))


def _rolled_back(parameters: dict[str, str | None], named: list[str], reason: str) -> Flow[RollbackReport]:
    yield Acquire()
    try:
        if (yield InTransaction()):
            return (yield from _applied(parameters))
        if named and parameters["on_conflict"] == "cascade":
            plan = yield from own_transaction(call(_REPORT, **parameters | {"mode": "plan"}))
            named = [session["session_id"] for session in plan["sessions"]]
        yield from own_transaction(_stopped(named, reason))
        return (yield from own_transaction(_applied(parameters)))
    except CommitLost as lost:
        hint = "journal.rollbacks tells whether it took effect; rolling back again is safe: what is taken back needs nothing"
        raise OutcomeUnknown("the connection was lost during COMMIT", hint=hint) from lost
    finally:
        yield GiveBack()


def _stopped(session_ids: list[str], reason: str) -> Flow[None]:
    """Committed before the rollback asks for its locks: from then on no step of theirs, or of their children, can begin."""
    for session_id in session_ids:
        yield from call(STOP_SESSION, session_id=session_id, reason=reason or "to be rolled back")


def _applied(parameters: dict[str, str | None]) -> Flow[RollbackReport]:
    report = yield from call(_REPORT, **parameters)
    if report["outcome"] not in _DONE:
        raise _refusal(report)
    return RollbackReport(report)


def _refusal(report: dict[str, Any]) -> RollbackError:
    plan = RollbackPlan(report)
    stays = "nothing was changed; the session stays stopped"
    if report["outcome"] == "busy":
        return RollbackBusy("others hold what the rollback needs", hint=f"{stays}; try again", plan=plan)
    reasons = sorted({conflict["reason"] for conflict in report["conflicts"]})
    if report["rows"]["conflict"]:
        message = f"{report['rows']['conflict']} rows are no longer what the session left behind: {', '.join(reasons)}"
        hint = f"{stays}; on_conflict='skip' leaves these rows and restores the others"
        return RollbackConflict(message, hint=hint, plan=plan, conflicts=plan.conflicts)
    return RollbackRefused(f"the rollback cannot be done: {', '.join(reasons)}", hint=stays, plan=plan, reasons=reasons)


def _parameters(
    sessions: Any, steps: Iterable[UUID | str] | None, on_conflict: str, digest: str | None = None
) -> dict[str, str | None]:
    return {
        "session_ids": _array(_ids(sessions)),
        "step_ids": None if steps is None else _array([session_id_text(step) for step in steps]),
        "on_conflict": on_conflict,
        "expected_digest": digest,
    }


def _ids(sessions: Any) -> list[str]:
    several = sessions if isinstance(sessions, Iterable) and not isinstance(sessions, str) else [sessions]
    return [session_id_text(session) for session in several]


def _array(ids: list[str]) -> str:
    return "{" + ",".join(ids) + "}"


for _public in (plan_rollback, rollback):
    _public.__module__ = "journal"
