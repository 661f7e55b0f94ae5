"""Coverage, as the view shows it, and the tables of a schema."""

from __future__ import annotations

from journal.cli.queries import Row, rows, select
from journal.cli.shell import Connection

VIEW = "journal.coverage"
COLUMNS = (
    *(
        "relation",
        "table_name",
        "status",
        "reason",
        "fix",
        "writers",
        "undo",
        "truncate",
        "key_columns",
        "excluded_columns",
    ),
    *("counter_columns", "maintained_columns", "covered_at", "gap_since", "oldest_image_at"),
)

_TABLES_OF_SCHEMA = """
    select c.oid::regclass::text as table_name
      from pg_catalog.pg_class as c
     where c.relnamespace = to_regnamespace(%(schema)s) and c.relkind in ('r', 'p', 'f') and c.relpersistence <> 't'
       and not c.relispartition -- a partition is covered with its root
     order by c.relname"""
_KNOWN_SCHEMA = "select to_regnamespace(%(schema)s) is not null as known"
_KEY_COLUMNS = """
    select a.attname as name
      from pg_catalog.pg_index as i
     cross join lateral unnest(i.indkey) with ordinality as k(attnum, place)
      join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
     where i.indrelid = %(table)s::regclass and i.indisprimary
     order by k.place"""


def coverage_of(conn: Connection) -> list[Row]:
    """Every user table."""
    return rows(conn, select(VIEW, COLUMNS, order="table_name"))


def tables_of_schema(conn: Connection, schema: str) -> list[str] | None:
    """The tables of a schema, as `::regclass` reads them; None when there is no such schema."""
    if not rows(conn, _KNOWN_SCHEMA, {"schema": schema})[0]["known"]:
        return None
    return [row["table_name"] for row in rows(conn, _TABLES_OF_SCHEMA, {"schema": schema})]


def key_columns(conn: Connection, table: str) -> list[str]:
    """The columns of a table's primary key, in order; empty when it has none."""
    return [row["name"] for row in rows(conn, _KEY_COLUMNS, {"table": table})]
