"""`journal coverage`."""

from __future__ import annotations

import click

from journal.cli.paper import paper, print_rows, say
from journal.cli.queries.coverage import coverage_of
from journal.cli.shell import Shell, with_shell


@click.command()
@with_shell
def coverage(shell: Shell) -> None:
    """List every table: covered or not, why, and what to do."""
    with shell.connect() as conn:
        found = coverage_of(conn)
    if shell.json:
        print_rows(found)
        return
    if not found:
        say("this database has no tables")
        return
    columns = ("table", "status", "writers", "key", "reason", "fix")
    shown = ("table_name", "status", "writers", "key_columns", "reason", "fix")
    paper().table(columns, ([row[name] for name in shown] for row in found))
