"""`journal sessions`."""

from __future__ import annotations

from datetime import datetime

import click

from journal.cli.paper import paper, print_rows, say
from journal.cli.queries import Row
from journal.cli.queries.sessions import SessionFilter, sessions_of
from journal.cli.shell import Shell, with_shell
from journal.cli.values import Moment

_SHOWN = ("session_id", "agent", "task", "status", "reversed", "opened_at", "db_user")


@click.command()
@click.option("--agent", metavar="NAME", help="Of this agent only.")
@click.option("--table", metavar="TABLE", help="That changed this table.")
@click.option("--since", type=Moment(), help="Opened at or after this time, or this long ago.")
@click.option("--until", type=Moment(), help="Opened before this time.")
@click.option("--open", "only_open", is_flag=True, help="Still open.")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(min=1), help="At most so many, newest first."
)
@with_shell
def sessions(
    shell: Shell,
    *,
    agent: str | None,
    table: str | None,
    since: datetime | None,
    until: datetime | None,
    only_open: bool,
    limit: int,
) -> None:
    """List agent sessions and rollbacks, newest first."""
    with shell.connect() as conn:
        found = sessions_of(conn, SessionFilter(agent, table, since, until, only_open, limit))
    if shell.json:
        print_rows(found)
    elif found:
        paper().table(_SHOWN, ([_cell(row, name) for name in _SHOWN] for row in found))
    else:
        say("no session matches")


def _cell(row: Row, name: str) -> object:
    """A rollback is a session too, of whoever carried it out; its task is the reason."""
    if name == "agent" and row["kind"] == "rollback":
        return f"{row['agent']} (rollback)"
    return row[name]
