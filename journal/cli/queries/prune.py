"""Segments whose time is over."""

from __future__ import annotations

from datetime import timedelta

from journal.cli.queries import Row, rows
from journal.cli.shell import Connection

COLUMNS = ("segment", "table_name", "action", "bytes")


def prune_segments(conn: Connection, keep: timedelta | None) -> list[Row]:
    """Begin new segments and drop old ones; what was begun and dropped. `keep`: None is the default, which stands in SQL."""
    return rows(conn, "select segment, table_name, action, bytes from journal.prune(keep => %(keep)s)", {"keep": keep})
