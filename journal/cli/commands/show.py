"""`journal show`."""

from __future__ import annotations

import click

from journal.cli.page_of_session import write_session
from journal.cli.paper import paper, print_json
from journal.cli.queries.ids import find_id
from journal.cli.queries.rollback import RollbackRequest, report_of
from journal.cli.queries.show import show_document, taken_back_by
from journal.cli.shell import Shell, with_shell


@click.command()
@click.argument("session", metavar="SESSION")
@click.option("--plan", is_flag=True, help="Also work out what a rollback would do now.")
@with_shell
def show(shell: Shell, *, session: str, plan: bool) -> None:
    """Show what a session did, step by step: rows, messages, receipts, and whether it can be undone."""
    with shell.connect() as conn:
        session_id = find_id(conn, "session", session)
        planned = report_of(conn, RollbackRequest([session_id]), "plan", progress=not shell.json) if plan else None
        document = show_document(conn, session_id, planned)
        taken_back = [] if shell.json else taken_back_by(conn, session_id)
    if shell.json:
        print_json(document)
    else:
        write_session(paper(), document, taken_back)
