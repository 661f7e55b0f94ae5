"""`journal claims`."""

from __future__ import annotations

import click

from journal.cli.failures import EXIT_FAILED
from journal.cli.paper import paper, print_rows, say
from journal.cli.queries.claims import claims_of
from journal.cli.shell import Shell, with_shell

_SHOWN = ("claim_id", "session_id", "claim", "verdict", "receipt_id", "claimed_at")


@click.command()
@click.option("--unbacked", is_flag=True, help="Only those that no receipt backs, or that one contradicts.")
@click.option("--check", is_flag=True, help="Exit 1 when one of them is not backed.")
@with_shell
def claims(shell: Shell, *, unbacked: bool, check: bool) -> int:
    """List what agents said they did, and whether a receipt says so too."""
    with shell.connect() as conn:
        found = claims_of(conn, only_unbacked=unbacked)
    if shell.json:
        print_rows(found)
    elif found:
        paper().table(_SHOWN, ([row[name] for name in _SHOWN] for row in found))
    else:
        say("no claim is without its receipt" if unbacked else "there are no claims")
    return EXIT_FAILED if check and any(row["verdict"] != "backed" for row in found) else 0
