"""Changes: of a session, or of a row through time."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from uuid import UUID

from psycopg.types.json import Jsonb

from journal.cli.queries import Row, rows, stream
from journal.cli.shell import Connection

_CHANGES = """
    select * from journal.session_changes(%(session_id)s)
     where (%(table)s::text is null or relation = %(table)s::regclass)
       and (%(step_id)s::uuid is null or step_id = %(step_id)s)
       and (%(key)s::jsonb is null or key = %(key)s::jsonb)
     order by statement_id"""
_STEP = """
    select step_id from journal.steps
     where session_id = %(session_id)s and ordinal = %(ordinal)s and status <> 'replayed' order by started_at desc limit 1"""
_STEPS = "select step_id, ordinal, tool from journal.steps where session_id = %(session_id)s"
_COUNT = "select coalesce(sum(rows), 0)::bigint as n from journal.statements where session_id = %(session_id)s"
_HISTORY = """
    select h.*, s.agent, s.kind
      from journal.row_history(%(table)s::regclass, %(key)s::jsonb) as h
      left join journal.sessions as s using (session_id)
     order by h.statement_id"""


@dataclass(frozen=True)
class ChangeFilter:
    """Which changes of a session; None means any."""

    session_id: UUID
    table: str | None = None
    step_id: UUID | None = None
    key: Jsonb | None = None


def changes_of(conn: Connection, wanted: ChangeFilter) -> Generator[Row, None, None]:
    """The changes that match, in the order of their statements."""
    values = {name: getattr(wanted, name) for name in asdict(ChangeFilter(wanted.session_id))}
    yield from stream(conn, _CHANGES, values)


def step_of(conn: Connection, session_id: UUID, ordinal: int) -> UUID | None:
    """The id of a session's step by its number."""
    found = rows(conn, _STEP, {"session_id": session_id, "ordinal": ordinal})
    return found[0]["step_id"] if found else None


def steps_of(conn: Connection, session_id: UUID) -> dict[UUID, str]:
    """The number and the tool of each step of a session."""
    return {row["step_id"]: f"{row['ordinal']} {row['tool']}" for row in rows(conn, _STEPS, {"session_id": session_id})}


def count_of(conn: Connection, session_id: UUID) -> int:
    """How many changes a session made; no image is read for it."""
    return int(rows(conn, _COUNT, {"session_id": session_id})[0]["n"])


def history_of(conn: Connection, table: str, key: Mapping[str, str]) -> list[Row]:
    """Everything recorded about one row, oldest first, with the agent where it was one."""
    return rows(conn, _HISTORY, {"table": table, "key": Jsonb(key)})
