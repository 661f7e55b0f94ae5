"""A session for a person: what it did step by step, and whether it can be undone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from journal.cli.paper import Paper, cell, plural, printable
from journal.cli.queries import Row

_KINDS = {"insert": "added", "update": "changed", "delete": "deleted", "truncate": "truncated"}
_MANY = 4
_STEP_STYLES = {"failed": "bad", "replayed": "dim", "reversed": "dim", "unknown": "warn"}


def write_session(page: Paper, document: dict[str, Any], taken_back: Sequence[Row] = ()) -> None:
    """The document for a person; of a rollback with the sessions that it took back."""
    _write_head(page, document, taken_back)
    for _, alike in groupby(document["steps"], key=lambda step: step["tool"]):
        _write_steps(page, list(alike))
    outside = document["outside_steps"]
    if outside["tables"] or outside["messages"]:
        page.heading("outside steps")
        _write_work(page, outside)
    _write_rollbacks(page, document["rollbacks"])
    _write_undo(page, document["undo"], document["session"])


def _write_head(page: Paper, document: dict[str, Any], taken_back: Sequence[Row]) -> None:
    session, totals = document["session"], document["totals"]
    page.heading(f"{'Rollback' if session['kind'] == 'rollback' else 'Session'} {session['session_id']}")
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
    for taken in taken_back:
        task = f": {printable(taken['task'])}" if taken["task"] else ""
        page.line(f"  it took back session {taken['session_id']} of {printable(taken['agent'])}{task}")
    words = ("step", "replay", "change", "message")
    failed = f", {totals['failed']:,} failed" if totals["failed"] else ""
    page.line("  " + ", ".join(plural(totals[f"{word}s"], word) for word in words) + failed)


def _write_steps(page: Paper, steps: list[Row]) -> None:
    """Many calls of one tool after the other are summed up; `--json` has each of them."""
    if len(steps) <= _MANY:
        for step in steps:
            _write_step(page, step)
        return
    statuses = Counter(step["status"] for step in steps)
    words = ", ".join(f"{number:,} {status}" for status, number in statuses.items())
    first, last = steps[0], steps[-1]
    page.line(
        f"{first['ordinal']:>4} to {last['ordinal']}  {printable(first['tool'])}: {words}  {cell(first['started_at'])}"
    )
    _write_work(
        page, {"tables": _summed(steps), "messages": [message for step in steps for message in step["messages"]]}
    )
    receipts = Counter(step["receipt"]["status"] for step in steps if step["receipt"])
    for status, number in receipts.items():
        page.line(f"        {plural(number, 'receipt')} {status}", style="dim")


def _summed(steps: list[Row]) -> list[Row]:
    tables: dict[str, Counter[str]] = defaultdict(Counter)
    for step in steps:
        for table in step["tables"]:
            tables[table["table"]].update({kind: table[kind] for kind in _KINDS})
    return [{"table": name, **{kind: counts[kind] for kind in _KINDS}} for name, counts in tables.items()]


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
        page.line(f"        {plural(number, 'message')} to {printable(topic)}: {where}")


def _whereabouts(message: Row) -> str:
    deliveries = [f"{delivery['status']} to {delivery['destination']}" for delivery in message["deliveries"]]
    return ", ".join(deliveries) or str(message["status"])


def _write_rollbacks(page: Paper, rollbacks: list[Row]) -> None:
    if rollbacks:
        page.line()
    for rollback in rollbacks:
        taken_back = f", taken back by {rollback['reversed_by']}" if rollback["reversed_by"] else ""
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
            f"  undo now: {undo['status']}; {plural(undo['rows'], 'row')} can be undone, {undo['conflicts']:,} cannot{_how(undo)}; "
            f"{plural(undo['sent'] or 0, 'message')} sent already"
        )
    page.line(f"  undo: {undo['command']}")


def _how(undo: Row) -> str:
    return " (--on-conflict skip leaves those)" if undo["rows"] and undo["conflicts"] else ""
