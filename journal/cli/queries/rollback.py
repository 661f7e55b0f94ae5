"""The rollback's one entry point in SQL, and which sessions an agent had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal, Self
from uuid import UUID

from psycopg import sql

import journal
from journal.cli.queries import rows
from journal.cli.shell import Connection

Mode = Literal["plan", "dry_run", "rehearse", "apply"]
Report = dict[str, Any]

LIST_LENGTH = 100
WHOLE_LISTS = 2**31 - 1

_REPORT = """
    select journal.rollback_report(
        session_ids => %(session_ids)s, step_ids => %(step_ids)s, on_conflict => %(on_conflict)s, mode => %(mode)s,
        expected_digest => %(expected_digest)s, reason => %(reason)s, max_rows => %(max_rows)s, wait => %(wait)s,
        shown => %(shown)s) as report"""
_AS_SQL = (
    "select journal.rollback_sessions(session_ids => {session_ids}, step_ids => {step_ids}, on_conflict => {on_conflict},\n"
    "    expected_digest => {expected_digest}, reason => {reason}, max_rows => {max_rows}, wait => {wait});"
)


@dataclass(frozen=True)
class RollbackRequest:
    """What is to be rolled back, and how."""

    session_ids: Sequence[UUID]
    step_ids: Sequence[UUID] | None = None
    on_conflict: str = "refuse"
    expected_digest: str | None = None
    reason: str = ""
    max_rows: int | None = None
    wait: timedelta = timedelta(seconds=30)
    shown: int = LIST_LENGTH

    def expecting(self, digest: str) -> Self:
        """The same, for the plan of this digest only, however large."""
        return replace(self, expected_digest=digest, max_rows=None)


def report_of(conn: Connection, request: RollbackRequest, mode: Mode, *, progress: bool = False) -> Report:
    """Plan, try or apply a rollback; the report of `journal.rollback/1`. With `progress` its phases arrive as notices."""
    with conn.transaction():
        conn.execute("select set_config('journal.progress', %s, true)", ["on" if progress else "off"])
        report: Report = rows(conn, _REPORT, _values(request) | {"mode": mode})[0]["report"]
    return report


def as_sql(request: RollbackRequest) -> str:
    """The call for psql that does the same."""
    values = _values(request) | {"wait": f"{request.wait.total_seconds():g}s"}
    for name in ("session_ids", "step_ids"):
        values[name] = [str(value) for value in values[name]] if values[name] is not None else None
    literals = {name: sql.Literal(value) for name, value in values.items()}
    return sql.SQL(_AS_SQL).format(**literals).as_string(None)


def _values(request: RollbackRequest) -> dict[str, Any]:
    values = dict(vars(request))
    values["session_ids"] = list(request.session_ids)
    values["step_ids"] = list(request.step_ids) if request.step_ids is not None else None
    return values


def apply(conn: Connection, request: RollbackRequest, plan: Report, *, progress: bool = False) -> Report:
    """Apply a plan. Whole sessions are stopped first, in commits of their own, so that their steps do not hold it up."""
    for session in plan["sessions"] if request.step_ids is None else []:
        journal.stop_session(conn, UUID(session["session_id"]), request.reason or "rollback")
    request = request.expecting(plan["plan_digest"])
    return report_of(conn, request, "apply", progress=progress)
