"""`journal prune`."""

from __future__ import annotations

from datetime import timedelta

import click

from journal.cli.paper import paper, print_rows, say
from journal.cli.queries.prune import COLUMNS, prune_segments
from journal.cli.shell import Shell, with_shell
from journal.cli.values import Duration


@click.command()
@click.option(
    "--keep", type=Duration(), help="How long images are kept after their segment was closed; default: 30 days."
)
@with_shell
def prune(shell: Shell, *, keep: timedelta | None) -> None:
    """Begin new segments where the present ones are old, and drop what is past its time. Run it once a day."""
    with shell.connect() as conn:
        done = prune_segments(conn, keep)
    if shell.json:
        print_rows(done)
    elif done:
        paper().table(COLUMNS, ([row[name] for name in COLUMNS] for row in done), right=("bytes",))
    else:
        say("nothing is old enough")
