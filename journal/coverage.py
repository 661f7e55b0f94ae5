"""Cover tables: journal their changes, so that they can be undone."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, overload

from journal.connecting import call, perform
from journal.errors import NotCoverable
from outbox.pg.errors import is_driver_error, sqlstate_of
from outbox.pg.flow import Flow, scalar

if TYPE_CHECKING:
    from outbox.pg.connections.types import AsyncConn, Conn

_CASTS = {
    "writers": "text",
    "undo": "boolean",
    "exclude": "text[]",
    "counters": "text[]",
    "maintained": "text[]",
    "truncate": "text",
    "strict": "boolean",
}
_UNCOVER = "select to_json(journal.uncover((:relation)::text::oid::regclass)::text)::text"
# undefined_table, invalid_schema_name, invalid_name, syntax_error
_NO_SUCH_TABLE = frozenset({"42P01", "3F000", "42602", "42601"})


@overload
def cover(
    conn: Conn,
    table: str,
    *,
    agents_only: bool = False,
    audit_only: bool = False,
    strict: bool = False,
    exclude: Sequence[str] = (),
    counters: Sequence[str] = (),
    maintained: Sequence[str] = (),
    truncate: str | None = None,
) -> None: ...


@overload
def cover(
    conn: AsyncConn,
    table: str,
    *,
    agents_only: bool = False,
    audit_only: bool = False,
    strict: bool = False,
    exclude: Sequence[str] = (),
    counters: Sequence[str] = (),
    maintained: Sequence[str] = (),
    truncate: str | None = None,
) -> Awaitable[None]: ...


def cover(
    conn: Any,
    table: str,
    *,
    agents_only: bool = False,
    audit_only: bool = False,
    strict: bool = False,
    exclude: Sequence[str] = (),
    counters: Sequence[str] = (),
    maintained: Sequence[str] = (),
    truncate: str | None = None,
) -> Any:
    """Journal the changes of a table from now on; idempotent: brings an earlier coverage to the present. As the table's owner.

    `table`: what `::regclass` accepts on the caller's search_path. `agents_only`: only changes of bound sessions.
    `audit_only`: recorded, never undone. `strict`: a table that changed its shape refuses writes until it is covered anew.
    `exclude`: columns that are not recorded; `counters`: columns undone by difference; `maintained`: columns kept by triggers.
    `truncate`: 'capture' or 'refuse'; None is the default of the SQL function. Raises `NotCoverable`.
    """
    options = {
        "writers": "agents" if agents_only else None,
        "undo": "false" if audit_only else None,
        "exclude": _array(exclude),
        "counters": _array(counters),
        "maintained": _array(maintained),
        "truncate": truncate,
        "strict": "true" if strict else None,
    }
    return perform(conn, lambda: _covered(table, {name: value for name, value in options.items() if value is not None}))


@overload
def uncover(conn: Conn, table: str) -> None: ...


@overload
def uncover(conn: AsyncConn, table: str) -> Awaitable[None]: ...


def uncover(conn: Any, table: str) -> Any:
    """Stop journaling a table. What was recorded stays, and can still be rolled back."""
    return perform(conn, lambda: _uncovered(table))


def _covered(table: str, options: dict[str, str]) -> Flow[None]:
    relation = yield from _relation(table)
    # What is not asked for is not said: the defaults stand in SQL.
    named = "".join(f", {name} => (:{name})::text::{_CASTS[name]}" for name in options)
    sql = f"select journal.cover((:relation)::text::oid::regclass{named})::text"
    yield from call(sql, relation=relation, **options)


def _uncovered(table: str) -> Flow[None]:
    relation = yield from _relation(table)
    yield from call(_UNCOVER, relation=relation)


def _relation(table: str) -> Flow[str | None]:
    try:
        return (yield from scalar("select ((:name)::text::regclass)::oid::text", name=table))
    except Exception as error:
        if is_driver_error(error) and sqlstate_of(error) in _NO_SUCH_TABLE:
            hint = "name it as in SQL: schema.table, quoted where needed"
            raise NotCoverable(f"there is no table {table}", hint=hint, reason="there is no such table") from error
        raise


def _array(columns: Sequence[str]) -> str | None:
    """A PostgreSQL array literal; None where there are no columns."""
    if isinstance(columns, str):
        raise TypeError("columns are a list of names, not one text")
    quoted = ('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in columns)
    return "{" + ",".join(quoted) + "}" if columns else None


for _public in (cover, uncover):
    _public.__module__ = "journal"
