"""Receipts, as the view shows them."""

from __future__ import annotations

from uuid import UUID

from journal.cli.queries import Row, rows, select
from journal.cli.shell import Connection

VIEW = "journal.receipts"
COLUMNS = (
    *(
        "receipt_id",
        "session_id",
        "step_id",
        "tool",
        "tenant",
        "key",
        "attempt",
        "status",
        "committed_at",
        "delivered_at",
        "confirmed_at",
    ),
    *("reversed_at", "reversed_by", "changes", "message_ids", "result", "digest", "document"),
)


def receipts_of(conn: Connection, session_id: UUID | None) -> list[Row]:
    """The receipts of one session, or of all, oldest first."""
    condition = "(%(id)s::uuid is null or session_id = %(id)s)"
    return rows(conn, select(VIEW, COLUMNS, condition, "committed_at"), {"id": session_id})
