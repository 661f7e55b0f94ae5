"""`journal changes` and `journal history`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from uuid import UUID

import click
from psycopg import DataError
from psycopg.types.json import Jsonb

from journal.cli.failures import UsageError
from journal.cli.paper import Paper, cell, paper, print_rows, printable, say
from journal.cli.queries import Row
from journal.cli.queries.changes import ChangeFilter, changes_of, count_of, history_of, step_of, steps_of
from journal.cli.queries.coverage import key_columns
from journal.cli.queries.ids import find_id
from journal.cli.shell import Connection, Shell, with_shell
from journal.cli.values import row_key

_LONG = 60
_MANY = 1000


@click.command()
@click.argument("session", metavar="SESSION")
@click.option("--table", metavar="TABLE", help="Of this table only.")
@click.option("--step", type=click.IntRange(min=1), metavar="N", help="Of this step only, by its number.")
@click.option(
    "--key", multiple=True, metavar="KEY", help="Of this row only: 42, or order_id=42 and line=7. Needs --table."
)
@with_shell
def changes(shell: Shell, *, session: str, table: str | None, step: int | None, key: tuple[str, ...]) -> None:
    """List the changes of a session, row by row, as they were recorded."""
    if key and table is None:
        raise UsageError("--key needs --table")
    with shell.connect() as conn:
        wanted = _wanted(conn, session, table, step, key)
        steps = {} if shell.json else steps_of(conn, wanted.session_id)
        if not shell.json and wanted == ChangeFilter(wanted.session_id):
            _say_how_many(conn, wanted.session_id)
        with closing(changes_of(conn, wanted)) as found:  # a reader that goes away must not leave the query running
            _print(shell, found, "no change matches", steps)


@click.command()
@click.argument("table", metavar="TABLE")
@click.argument("key", nargs=-1, required=True, metavar="KEY…")
@with_shell
def history(shell: Shell, *, table: str, key: tuple[str, ...]) -> None:
    """Show who changed one row: KEY is 42, or order_id=42 line=7."""
    with shell.connect() as conn:
        wanted = row_key(key, _key_columns(conn, table))
        try:
            found = history_of(conn, table, wanted)
        except DataError as error:
            raise UsageError(f"{' '.join(key)} is no key of {table}: {error.diag.message_primary}") from error
    _print(shell, found, "nothing is recorded about this row")


def _say_how_many(conn: Connection, session_id: UUID) -> None:
    """Before a list that nobody reads to its end."""
    number = count_of(conn, session_id)
    if number > _MANY:
        say(f"{number:,} changes: `journal show` sums them up; --table, --step and --key list fewer")


def _wanted(conn: Connection, session: str, table: str | None, step: int | None, key: tuple[str, ...]) -> ChangeFilter:
    session_id = find_id(conn, "session", session)
    step_id = step_of(conn, session_id, step) if step is not None else None
    if step is not None and step_id is None:
        raise UsageError(f"the session has no step {step}", hint=f"`journal show {session_id}` lists them")
    wanted_key = Jsonb(row_key(key, _key_columns(conn, table))) if key and table else None
    return ChangeFilter(session_id, table, step_id, wanted_key)


def _key_columns(conn: Connection, table: str) -> list[str]:
    found = key_columns(conn, table)
    if not found:
        raise UsageError(f"{table} has no primary key")
    return found


def _print(shell: Shell, found: Iterable[Row], nothing: str, steps: Mapping[UUID, str] | None = None) -> None:
    if shell.json:
        print_rows(found)
        return
    page, empty = paper(), True
    for row in found:
        empty = False
        _print_change(page, row, steps or {})
    if empty:
        say(nothing)


def _print_change(page: Paper, row: Row, steps: Mapping[UUID, str]) -> None:
    page.line(
        f"{cell(row['changed_at'])}  {row['operation']} {row['table_name']} {cell(row['key'])}  by {_who(row, steps)}"
    )
    before, after = row["before"] or {}, row["after"] or {}
    for column in _columns_of(row, before, after):
        page.line(f"    {printable(column)}: {_change(row, before.get(column), after.get(column))}")


def _columns_of(row: Row, before: dict[str, str], after: dict[str, str]) -> Iterable[str]:
    return row["changed_columns"] if row["changed_columns"] is not None else {**before, **after}


def _change(row: Row, before: str | None, after: str | None) -> str:
    if row["before"] is None:
        return _value(after)
    return _value(before) if row["after"] is None else f"{_value(before)} → {_value(after)}"


def _value(value: str | None) -> str:
    if value is None:
        return "NULL"
    return printable(value) if len(value) <= _LONG else f"{printable(value[:_LONG])}… ({len(value):,} characters)"


def _who(row: Row, steps: Mapping[UUID, str]) -> str:
    if row["session_id"] is None:
        return printable(str(row["db_role"]))
    if row.get("agent"):
        where = "rollback" if row["kind"] == "rollback" else "session"
        return f"{printable(row['agent'])} in {where} {row['session_id']}"
    return f"step {printable(steps[row['step_id']])}" if row["step_id"] in steps else "the session"
