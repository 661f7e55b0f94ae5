"""Residue: what a rollback could not undo."""

from __future__ import annotations

from uuid import UUID

from journal.cli.queries import Row, rows, select
from journal.cli.shell import Connection

VIEW = "journal.residue"
COLUMNS = (
    *(
        "residue_id",
        "rollback_id",
        "session_id",
        "kind",
        "relation",
        "table_name",
        "key",
        "column_name",
        "reason",
        "base",
        "ours",
    ),
    *(
        "theirs",
        "their_session_id",
        "their_user",
        "their_at",
        "message_id",
        "destination",
        "resolved_at",
        "resolved_by",
        "note",
    ),
)

_MATCHES = (
    "(%(rollback_id)s::uuid is null or rollback_id = %(rollback_id)s) and (not %(only_open)s or resolved_at is null)"
)


def residue_of(conn: Connection, rollback_id: UUID | None, *, only_open: bool) -> list[Row]:
    """What one rollback, or any, left behind."""
    return rows(
        conn, select(VIEW, COLUMNS, _MATCHES, "residue_id"), {"rollback_id": rollback_id, "only_open": only_open}
    )


def resolve_residue(conn: Connection, residue_id: UUID, note: str) -> bool:
    """Tick one off; false when it was ticked off before."""
    found = rows(conn, "select journal.resolve_residue(%(id)s, %(note)s) as resolved", {"id": residue_id, "note": note})
    return bool(found[0]["resolved"])
