"""What the commands read: plain SQL on the public views, with columns by name. A DBA can run the same in psql."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from journal.cli.shell import Connection

Row = Mapping[str, Any]
Values = Mapping[str, Any]


def select(view: str, columns: Sequence[str], condition: str = "true", order: str | None = None) -> sql.Composed:
    """`select columns from view where condition order by order`. `condition` and `order` are our own text."""
    query = sql.SQL("select {} from {} where ").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(*view.split("."))
    )
    return query + sql.SQL(condition) + sql.SQL(f" order by {order}" if order else "")


def rows(conn: Connection, query: sql.Composed | str, values: Values | None = None) -> list[Row]:
    """All rows, by column name."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return list(cursor.execute(query, values))


def stream(conn: Connection, query: sql.Composed | str, values: Values | None = None) -> Generator[Row, None, None]:
    """The rows one by one, for results that may not fit into memory. Close it before the connection."""
    with conn.cursor(row_factory=dict_row) as cursor:
        yield from cursor.stream(query, values)
