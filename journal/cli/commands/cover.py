"""`journal cover` and `journal uncover`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from journal.cli.covering import Covered, CoverOptions, cover_all, uncover_one
from journal.cli.failures import EXIT_NOTHING, EXIT_PARTLY, EXIT_REFUSED, UsageError
from journal.cli.paper import paper, plural, print_json, say
from journal.cli.queries.coverage import tables_of_schema
from journal.cli.shell import Connection, Shell, with_shell

_TRUNCATE = ("capture", "refuse")


@click.command()
@click.argument("tables", nargs=-1, metavar="TABLE…")
@click.option("--schema", metavar="NAME", help="All tables of this schema.")
@click.option("--agents-only", is_flag=True, help="Record only what agent sessions change.")
@click.option("--audit-only", is_flag=True, help="Record only: never undone. For tables without a primary key.")
@click.option(
    "--strict", is_flag=True, help="Refuse writes once the table has changed its shape, until it is covered again."
)
@click.option("--exclude", multiple=True, metavar="COLUMN", help="Never record this column.")
@click.option("--counter", multiple=True, metavar="COLUMN", help="Undo this column by its difference.")
@click.option("--maintained", multiple=True, metavar="COLUMN", help="Kept by triggers or a library: no conflict.")
@click.option("--truncate", type=click.Choice(_TRUNCATE), help="What happens to TRUNCATE.")
@with_shell
def cover(
    shell: Shell,
    *,
    tables: tuple[str, ...],
    schema: str | None,
    agents_only: bool,
    audit_only: bool,
    strict: bool,
    exclude: tuple[str, ...],
    counter: tuple[str, ...],
    maintained: tuple[str, ...],
    truncate: str | None,
) -> int:
    """Journal the changes of tables, or bring their coverage up to date. One transaction a table; safe to repeat."""
    if bool(tables) == bool(schema):
        raise UsageError("name tables, or a schema with --schema")
    options = CoverOptions(agents_only, audit_only, strict, exclude, counter, maintained, truncate)
    with shell.connect() as conn:
        names = tables if schema is None else _tables_of(conn, schema)
        done = _with_progress(cover_all(conn, names, options), len(names))
    return _print(shell, done)


@click.command()
@click.argument("table", metavar="TABLE")
@with_shell
def uncover(shell: Shell, *, table: str) -> None:
    """Stop journaling a table. What was recorded stays, and can still be rolled back."""
    with shell.connect() as conn:
        uncover_one(conn, table)
    if shell.json:
        print_json({"schema": "journal.uncover/1", "outcome": "done", "exit_code": 0, "table": table})
    say(f"{table} is not journaled any more")


def _tables_of(conn: Connection, schema: str) -> list[str]:
    names = tables_of_schema(conn, schema)
    if names is None:
        raise UsageError(f"there is no schema {schema}")
    return names


def _with_progress(tables: Iterable[Covered], total: int) -> list[Covered]:
    done = []
    for number, table in enumerate(tables, 1):
        say(f"[{number}/{total}] {table.table}: {table.words}")
        done.append(table)
    return done


def _print(shell: Shell, done: list[Covered]) -> int:
    refused = [table for table in done if table.refused]
    code = _exit_code(done, refused)
    if shell.json:
        print_json(_as_json(done, code))
    elif refused:
        page = paper()
        page.heading(f"refused: {len(refused)} of {plural(len(done), 'table')}")
        page.table(("table", "reason"), ([table.table, table.reason] for table in refused))
    return code


def _exit_code(done: list[Covered], refused: list[Covered]) -> int:
    if not done:
        return EXIT_NOTHING
    if len(refused) == len(done):
        return EXIT_REFUSED
    return EXIT_PARTLY if refused else 0


def _as_json(done: list[Covered], code: int) -> Mapping[str, Any]:
    outcome = {0: "done", EXIT_NOTHING: "nothing", EXIT_REFUSED: "refused"}.get(code, "partly")
    tables = [
        {"table": table.table, "status": table.status, "reason": table.reason, "retryable": table.retryable}
        for table in done
    ]
    return {"schema": "journal.cover/1", "outcome": outcome, "exit_code": code, "tables": tables}
