"""External effects: what was intended, and what became of it."""

from __future__ import annotations

from uuid import UUID

from journal.cli.queries import Row, rows, select
from journal.cli.shell import Connection

VIEW = "journal.externals"
COLUMNS = (
    *(
        "step_id",
        "session_id",
        "tool",
        "kind",
        "tenant",
        "key",
        "attempt",
        "status",
        "provider_key",
        "intended_at",
        "settled_at",
    ),
    *("settled_by", "error", "note"),
)


def externals(conn: Connection, *, only_unknown: bool) -> list[Row]:
    """All of them, or those whose outcome nobody recorded, oldest first."""
    condition = "(not %(only_unknown)s or status in ('intended', 'unknown'))"
    return rows(conn, select(VIEW, COLUMNS, condition, "intended_at"), {"only_unknown": only_unknown})


def resolve_external(conn: Connection, step_id: UUID, outcome: str, note: str) -> bool:
    """Say what became of one; false when it was settled before."""
    values = {"id": step_id, "outcome": outcome, "note": note}
    found = rows(conn, "select journal.resolve_external(%(id)s, %(outcome)s, %(note)s) as resolved", values)
    return bool(found[0]["resolved"])
