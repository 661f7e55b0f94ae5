"""How the tests of capture read the journal: through its public functions and views."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

Image = dict[str, str | None]


def rows(conn: psycopg.Connection, query: str, *parameters: object) -> list[dict[str, Any]]:
    """The rows of a query as dictionaries."""
    return conn.cursor(row_factory=dict_row).execute(query.encode(), parameters or None).fetchall()


def one(conn: psycopg.Connection, query: str, *parameters: object) -> Any:
    """The only value of a query."""
    (row,) = conn.execute(query.encode(), parameters or None).fetchall()
    (value,) = row
    return value


def cover(conn: psycopg.Connection, table: str, **options: object) -> dict[str, Any]:
    """`journal.cover` with named options; what it returns."""
    named = "".join(f", {name} => %({name})s" for name in options)
    found = conn.execute(
        f"select journal.cover(%(relation)s::regclass{named})".encode(), {"relation": table, **options}
    )
    result: dict[str, Any] = found.fetchall()[0][0]
    return result


def open_session(conn: psycopg.Connection, agent: str = "tester") -> UUID:
    """A new session's id."""
    found: UUID = one(conn, "select journal.open_session(%s)", agent)
    return found


def bind(conn: psycopg.Connection, session_id: UUID) -> None:
    """Bind the open transaction."""
    conn.execute("select journal.bind(%s)", (session_id,))


def changes(conn: psycopg.Connection, table: str, since: int = 0) -> list[tuple[str, Image | None, Image | None]]:
    """(operation, before, after) of every recorded change of a table, in the order of the statements."""
    query = """select operation, before, after from journal.changes
                where relation = %s::regclass and statement_id >= %s order by statement_id"""
    return [(r["operation"], r["before"], r["after"]) for r in rows(conn, query, table, since)]


def status(conn: psycopg.Connection, table: str) -> str:
    """The status of a table in `journal.coverage`."""
    found: str = one(conn, "select status from journal.coverage where relation = %s::regclass", table)
    return found


def folded(conn: psycopg.Connection, table: str, since: int = 0) -> Counter[frozenset[tuple[str, str | None]]]:
    """What the table must hold, if it was empty (or all its rows changed) then: all after-images less all before-images."""
    held: Counter[frozenset[tuple[str, str | None]]] = Counter()
    for _, before, after in changes(conn, table, since):
        held.update([frozenset(after.items())] if after is not None else [])
        held.subtract([frozenset(before.items())] if before is not None else [])
    return +held


def held(conn: psycopg.Connection, table: str) -> Counter[frozenset[tuple[str, str | None]]]:
    """What the table holds, as images would show it."""
    names = [r["attname"] for r in rows(conn, _COLUMNS, table)]
    texts = ", ".join(
        f"case when {_quoted(n)} is distinct from null then format('%s', {_quoted(n)}) end" for n in names
    )
    with conn.transaction():
        conn.execute("set local timezone = UTC; set local datestyle = 'ISO, MDY'; set local intervalstyle = postgres")
        found = conn.execute(f"select {texts} from {table}".encode()).fetchall()
    return Counter(frozenset(zip(names, row, strict=True)) for row in found)


_COLUMNS = """
    select attname from pg_attribute
     where attrelid = %s::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum"""


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
