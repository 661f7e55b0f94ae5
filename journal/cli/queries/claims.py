"""Claims, as the view shows them."""

from __future__ import annotations

from journal.cli.queries import Row, rows, select
from journal.cli.shell import Connection

VIEW = "journal.claims"
COLUMNS = ("claim_id", "session_id", "receipt_id", "claim", "verdict", "claimed_at")


def claims_of(conn: Connection, *, only_unbacked: bool) -> list[Row]:
    """All claims, or those that no receipt backs, oldest first."""
    condition = "(not %(only_unbacked)s or verdict <> 'backed')"
    return rows(conn, select(VIEW, COLUMNS, condition, "claimed_at"), {"only_unbacked": only_unbacked})
