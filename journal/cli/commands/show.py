"""`journal show`."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

import click

from journal.cli.paper import Paper, cell, paper, print_json, printable
from journal.cli.queries import Row
from journal.cli.queries.ids import find_id
from journal.cli.queries.rollback import Report, RollbackRequest, report_of
from journal.cli.queries.sessions import session as session_row
from journal.cli.queries.show import show_document
from journal.cli.shell import Connection, Shell, with_shell

_KINDS = {"insert": "added", "update": "changed", "delete": "deleted", "truncate": "truncated"}
_STEP_STYLES = {"failed": "bad", "replayed": "dim", "reversed": "dim", "unknown": "warn"}


@click.command()
@click.argument("session", metavar="SESSION")
@click.option("--plan", is_flag=True, help="Also work out what a rollback would do now.")
@with_shell
def show(shell: Shell, *, session: str, plan: bool) -> None:
    """Show what a session did, step by step: rows, messages, receipts, and whether it can be undone."""
    with shell.connect() as conn:
        session_id = find_id(conn, "session", session)
        document = show_document(conn, session_id, _undo(conn, session_id, plan=plan))
    if shell.json:
        print_json(document)
    else:
        write_session(paper(), document)


def _undo(conn: Connection, session_id: UUID, *, plan: bool) -> Row:
    """Without a plan only what the session's own row says."""
    report = report_of(conn, RollbackRequest([session_id]), "plan") if plan else None
    return {
        **({"status": None, "rows": None, "conflicts": None, "sent": None} if report is None else _planned(report)),
        "until": session_row(conn, session_id)["undoable_until"],
        "command": f"journal rollback --session {session_id} --dry-run",
    }


def _planned(report: Report) -> Row:
    counts = report.get("rows") or {}
    conflicts = (counts.get("conflict") or 0) + (counts.get("refuse") or 0)
    rows = (counts.get("total") or 0) - conflicts - (counts.get("noop") or 0)
    status = "nothing" if report["outcome"] == "nothing" else "no" if not rows else "partly" if conflicts else "fully"
    return {"status": status, "rows": rows, "conflicts": conflicts, "sent": (report.get("messages") or {}).get("sent")}


def write_session(page: Paper, document: dict[str, Any]) -> None:
    """The document for a person."""
    _write_head(page, document)
    for step in document["steps"]:
        _write_step(page, step)
    outside = document["outside_steps"]
    if outside["tables"] or outside["messages"]:
        page.heading("outside steps")
        _write_work(page, outside)
    _write_rollbacks(page, document["rollbacks"])
    _write_undo(page, document["undo"], document["session"])


def _write_head(page: Paper, document: dict[str, Any]) -> None:
    session, totals = document["session"], document["totals"]
    page.heading(f"Session {session['session_id']}")
    task = f": {printable(session['task'])}" if session["task"] else ""
    page.line(f"  {printable(session['agent'])}{task}")
    reversed_words = {"no": "", "partly": ", reversed in part", "fully": ", reversed"}[session["reversed"]]
    reason = f" ({printable(session['status_reason'])})" if session["status_reason"] else ""
    page.line(
        f"  {session['status']}{reason}{reversed_words}, opened {cell(session['opened_at'])} by {session['db_user']}"
    )
    if document["parent"]:
        page.line(f"  opened by session {document['parent']['session_id']} of {printable(document['parent']['agent'])}")
    for child in document["children"]:
        page.line(f"  opened session {child['session_id']} of {printable(child['agent'])}: {child['status']}")
    words = ("steps", "replays", "failed", "changes", "messages")
    page.line("  " + ", ".join(f"{totals[word]:,} {word}" for word in words))


def _write_step(page: Paper, step: Row) -> None:
    key = f" key {printable(step['key'])}" if step["key"] else ""
    attempt = f" attempt {step['attempt']}" if step["attempt"] > 1 else ""
    title = f"{step['ordinal']:>4}  {printable(step['tool'])}{key}{attempt}: {step['status']}"
    page.line(f"{title}  {cell(step['started_at'])}", style=_STEP_STYLES.get(step["status"]))
    _write_work(page, step)
    if step["receipt"]:
        page.line(f"        receipt {step['receipt']['receipt_id']} {step['receipt']['status']}", style="dim")


def _write_work(page: Paper, work: Row) -> None:
    for table in work["tables"]:
        counts = ", ".join(f"{table[kind]:,} {word}" for kind, word in _KINDS.items() if table[kind])
        page.line(f"        {printable(table['table'])}: {counts}")
    for (topic, where), number in Counter(
        (message["topic"], _whereabouts(message)) for message in work["messages"]
    ).items():
        page.line(f"        {number:,} {'message' if number == 1 else 'messages'} to {printable(topic)}: {where}")


def _whereabouts(message: Row) -> str:
    deliveries = [f"{delivery['status']} to {delivery['destination']}" for delivery in message["deliveries"]]
    return ", ".join(deliveries) or str(message["status"])


def _write_rollbacks(page: Paper, rollbacks: list[Row]) -> None:
    for rollback in rollbacks:
        taken_back = f", taken back by {rollback['reversed_by']}" if rollback["reversed_by"] else ""
        page.line()
        page.line(
            f"  rolled back by {rollback['rollback_id']} at {cell(rollback['applied_at'])} as {rollback['db_user']}{taken_back}"
        )


def _write_undo(page: Paper, undo: Row, session: Row) -> None:
    page.line()
    if session["reversed"] == "fully":
        page.line("  it is undone", style="good")
        return
    if undo["status"]:
        page.line(
            f"  undo now: {undo['status']}; {undo['rows']:,} rows can be undone, {undo['conflicts']:,} cannot, "
            f"{undo['sent'] or 0:,} messages are out"
        )
    page.line(f"  undo: {undo['command']}")
