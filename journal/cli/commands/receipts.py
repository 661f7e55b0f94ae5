"""`journal receipts`."""

from __future__ import annotations

import click

from journal.cli.paper import paper, print_rows, say
from journal.cli.queries.ids import find_id
from journal.cli.queries.receipts import receipts_of
from journal.cli.shell import Shell, with_shell

_SHOWN = ("receipt_id", "tool", "key", "attempt", "status", "committed_at")


@click.command()
@click.argument("session", required=False, metavar="[SESSION]")
@with_shell
def receipts(shell: Shell, *, session: str | None) -> None:
    """List receipts: what steps did, proved by a row of their own commit."""
    with shell.connect() as conn:
        found = receipts_of(conn, find_id(conn, "session", session) if session else None)
    if shell.json:
        print_rows(found)
    elif found:
        paper().table(_SHOWN, ([row[name] for name in _SHOWN] for row in found))
    else:
        say("there are no receipts")
