"""Sessions, as the view shows them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from journal.cli.queries import Row, rows, select
from journal.cli.shell import Connection

VIEW = "journal.sessions"
COLUMNS = (
    *(
        "session_id",
        "parent_session_id",
        "kind",
        "agent",
        "task",
        "tenant",
        "run_id",
        "status",
        "status_reason",
        "reversed",
    ),
    *(
        "opened_at",
        "last_bound_at",
        "closed_at",
        "undoable_until",
        "db_user",
        "db_role",
        "application_name",
        "hold",
        "details",
    ),
)

_MATCHES = """
        (%(agent)s::text is null or agent = %(agent)s)
    and (%(since)s::timestamptz is null or opened_at >= %(since)s)
    and (%(until)s::timestamptz is null or opened_at < %(until)s)
    and (not %(only_open)s or status = 'open')
    and (%(table)s::text is null
         or session_id in (select s.session_id from journal.statements as s where s.relation = %(table)s::regclass))
"""


@dataclass(frozen=True)
class SessionFilter:
    """Which sessions; None means any."""

    agent: str | None = None
    table: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    only_open: bool = False
    limit: int | None = None


def sessions_of(conn: Connection, wanted: SessionFilter) -> list[Row]:
    """The sessions that match, newest first."""
    return rows(conn, select(VIEW, COLUMNS, _MATCHES, "opened_at desc limit %(limit)s"), asdict(wanted))


def session(conn: Connection, session_id: UUID) -> Row:
    """One session that is known to exist."""
    return rows(conn, select(VIEW, COLUMNS, "session_id = %(id)s"), {"id": session_id})[0]


def children_of(conn: Connection, session_id: UUID) -> list[Row]:
    return rows(conn, select(VIEW, COLUMNS, "parent_session_id = %(id)s", "opened_at"), {"id": session_id})
