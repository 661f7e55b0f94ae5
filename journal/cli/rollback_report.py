"""The rollback report, for somebody who has never seen this tool: what, what not and why, what is left, how to take it back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from journal.cli.failures import EXIT_REFUSED
from journal.cli.paper import Paper, moment, plural, printable

Report = Mapping[str, Any]

# A row has exactly one of these statuses; in reading order, with what happened to such rows, and what would happen.
STATUSES = {
    "restore": ("restored to what they were before", "would be restored to what they were before"),
    "remove": ("removed: the session had added them", "would be removed: the session added them"),
    "reinsert": ("added again: the session had deleted them", "would be added again: the session deleted them"),
    "adjust": ("adjusted by the difference: counters", "would be adjusted by the difference: counters"),
    "force": ("overwritten although others came after", "would be overwritten although others came after"),
    "noop": ("nothing to do: they are as before already",) * 2,
    "conflict": ("left as they are: conflict", "in conflict"),
    "refuse": ("cannot be undone",) * 2,
}
REASONS = {
    "changed_since": "somebody changed it after the session",
    "changed_and_back": "somebody changed it after the session, and back",
    "deleted_since": "somebody deleted the row after the session",
    "key_reused": "another row has taken this key",
    "referenced_since": "rows of others depend on it now",
    "unique_taken": "another row has taken a value that must be unique",
    "exclusion_taken": "another row has taken its place",
    "constraint_added": "a constraint forbids the old value: one that is new since, or an identity that is always generated",
    "column_dropped": "a column was dropped since",
    "retyped": "a column's type was changed since",
    "table_recreated": "the table was dropped since, or made anew, or has another key",
    "unjournaled_writer": "it was written outside the journal",
    "trigger_rewrote": "a trigger keeps it, or changes what is written back",
    "coverage_gap": "changes may have gone unrecorded",
    "images_pruned": "what was recorded is past its retention",
    "hidden_by_rls": "row security hides it from you",
    "no_privilege": "you may not write it",
}
_HEADINGS = {
    "planned": "What a rollback would do",
    "done": "Rolled back",
    "partly": "Rolled back in part",
    "refused": "Refused: nothing was changed",
    "nothing": "Nothing to roll back",
    "busy": "Busy: nothing was changed",
    "declined": "Declined: nothing was changed",
}
_BEFORE = {"fully": "  (rolled back before)", "partly": "  (rolled back in part before)"}
_TRIED = {"dry_run": "Dry run, nothing was changed", "rehearse": "Rehearsal, nothing was changed"}
_STYLES = {"done": "good", "partly": "warn", "planned": None}
_MESSAGES = {
    "cancel": ("not sent yet: cancelled", "not sent yet: would be cancelled"),
    "compensate": (
        "answered by a new message: a compensation, or once more what a rollback had cancelled",
        "would be answered by a new message: a compensation, or once more what a rollback had cancelled",
    ),
    "sent": ("sent, and cannot be called back",) * 2,
}
# Why a rollback was refused, and what else there is, by --on-conflict.
_WAYS_ON = {
    "refuse": "with conflicts a rollback is refused; --on-conflict skip leaves those rows as they are and undoes the rest, "
    "cascade rolls back the agent sessions in the way too, force writes over what others made of these rows",
    "cascade": "cascade takes back other agent sessions, not what people wrote; "
    "--on-conflict skip leaves those rows as they are and undoes the rest",
    "force": "force does not overwrite these; --on-conflict skip leaves all conflicts as they are and undoes the rest",
}
_SHOWN = 20


def write_report(page: Paper, report: Report, *, detail: bool = False) -> None:
    """The whole report. Long lists are cut unless `detail`."""
    limit = None if detail else _SHOWN
    page.heading(_heading(report))
    if report.get("outcome") == "declined":  # the plan stands above the question
        return
    _write_sessions(page, report.get("sessions") or [])
    if report.get("steps"):
        page.line(f"  only {plural(len(report['steps']), 'step')} of it")
    _write_rows(page, report)
    _write_tables(page, report.get("tables") or [])
    _write_conflicts(page, report, limit)
    _write_messages(page, report)
    _write_notes(page, report)
    _write_residue(page, report, limit)
    _write_end(page, report)


def key_words(key: Mapping[str, str] | None) -> str:
    return " ".join(f"{printable(name)}={printable(str(value))}" for name, value in (key or {}).items())


def _heading(report: Report) -> str:
    words = _HEADINGS.get(str(report.get("outcome")), str(report.get("outcome")))
    tried = _TRIED.get(str(report.get("mode"))) if not report.get("committed") else None
    return f"{tried}. A real run: {words.lower()}" if tried and report.get("outcome") != "planned" else words


def _write_sessions(page: Paper, sessions: Sequence[Report]) -> None:
    for session in sessions:
        task = f": {session['task']}" if session.get("task") else ""
        why = "" if session.get("why") == "named" else f"  ({session.get('why')})"
        why += _BEFORE.get(str(session.get("reversed_before")), "")
        page.line(f"  session {session['session_id']}  {printable(session.get('agent') or '')}{printable(task)}{why}")


def _write_rows(page: Paper, report: Report) -> None:
    counts = report.get("rows") or {}
    if not counts.get("total"):
        return
    whom = "them" if len(report.get("sessions") or []) > 1 or len(report.get("steps") or []) > 1 else "it"
    page.line()
    page.line(f"  {counts['total']:>9,}  rows were changed by {whom}; of these")
    for status, meanings in STATUSES.items():
        if counts.get(status):
            style = "warn" if status in {"conflict", "refuse", "force"} else None
            page.line(f"  {counts[status]:>9,}  {meanings[not report.get('committed')]}", style=style)


def _write_tables(page: Paper, tables: Sequence[Report]) -> None:
    if not tables:
        return
    used = [status for status in STATUSES if any((table.get("rows") or {}).get(status) for table in tables)]
    page.line()
    lines = ([table["table"], *_counts(table, used), ", ".join(_restored_columns(table))] for table in tables)
    page.table(("table", "rows", *used, "columns"), lines, right=("rows", *used))
    kept = [f"{table['table']} {', '.join(table['maintained'])}" for table in tables if table.get("maintained")]
    if kept:
        page.line(f"  left to the triggers that keep them: {'; '.join(kept)}", style="dim")


def _restored_columns(table: Report) -> list[str]:
    maintained = table.get("maintained") or []
    return [printable(name) for name in table.get("columns") or [] if name not in maintained]


def _counts(table: Report, used: Sequence[str]) -> list[object]:
    counts = table.get("rows") or {}
    return [counts.get(name) or None for name in ("total", *used)]


def _write_conflicts(page: Paper, report: Report, limit: int | None) -> None:
    """Conflicts that stand, and those that were overruled with `--on-conflict force`."""
    listed = report.get("conflicts") or []
    counts = report.get("rows") or {}
    for heading, status, conflicts in (
        ("Conflicts", "conflict", [conflict for conflict in listed if not conflict.get("forced")]),
        ("Overwritten", "force", [conflict for conflict in listed if conflict.get("forced")]),
    ):
        if conflicts:
            page.heading(f"{heading}: {plural(max(counts.get(status) or 0, len(conflicts)), 'row')}")
            for conflict in conflicts[:limit]:
                _write_conflict(page, conflict)
            _write_more(page, len(conflicts), limit)


def _write_conflict(page: Paper, conflict: Report) -> None:
    column = f" · {printable(conflict['column'])}" if conflict.get("column") else ""
    key = f" {key_words(conflict['key'])}" if conflict.get("key") else ""
    page.line(f"  {printable(str(conflict.get('table') or 'some table'))}{key}{column}", style="warn")
    theirs = "theirs, lost" if conflict.get("forced") else "now"
    values = (("before the session", "base"), ("the session left", "ours"), (theirs, "theirs"))
    ours = conflict.get("base") is not None or conflict.get("ours") is not None
    told = [f"{words} {_image(conflict.get(name))}" for words, name in values if ours or name == "theirs"]
    if ours or conflict.get("theirs") is not None:
        page.line("      " + "   ".join(told))
    for other in conflict.get("also") or []:
        listed = "   ".join(f"{words} {_image(other.get(name))}" for words, name in values)
        page.line(f"      {printable(other['column'])}: {listed}")
    page.line(f"      {_why(conflict)}{_by(conflict)}{_constraint(conflict)}")


def _why(conflict: Report) -> str:
    reason = str(conflict.get("reason") or "conflict")
    if reason == "deleted_since" and conflict.get("constraint"):
        return "the row that it refers to is not there, and is not brought back"
    return REASONS.get(reason, reason)


def _image(value: object) -> str:
    if value is None:
        return "-"
    return key_words(value) if isinstance(value, Mapping) else printable(str(value))


def _by(conflict: Report) -> str:
    their = conflict.get("their") or {}
    name = their.get("agent") or their.get("db_user")
    if not name:
        return ""
    where = f" ({printable(their['application_name'])})" if their.get("application_name") else ""
    at = f" at {moment(their['at'])}" if their.get("at") else ""
    return f": {printable(name)}{where}{at}"


def _constraint(conflict: Report) -> str:
    return f" [{printable(conflict['constraint'])}]" if conflict.get("constraint") else ""


def _write_messages(page: Paper, report: Report) -> None:
    counts = dict(report.get("messages") or {})
    counts["sent"] = (counts.get("sent") or 0) - (counts.get("compensate") or 0)
    if any(counts.get(name) for name in _MESSAGES):
        page.heading("Messages")
        for name, meanings in _MESSAGES.items():
            if counts.get(name):
                page.line(
                    f"  {counts[name]:>9,}  {meanings[not report.get('committed')]}",
                    style="warn" if name == "sent" else None,
                )
    keys, receipts = report.get("keys_reversed"), report.get("receipts_reversed")
    if keys or receipts:
        marked = "marked" if report.get("committed") else "would be marked"
        page.line(f"  {plural(keys or 0, 'key')} and {plural(receipts or 0, 'receipt')} {marked} as reversed")


def _write_notes(page: Paper, report: Report) -> None:
    """What is not undone and needs nobody."""
    for note in report.get("notes") or []:
        words = " ".join(printable(str(note[name])) for name in ("kind", "name") if note.get(name))
        page.line(f"  {words.replace('_', ' ')}: {printable(str(note.get('reason') or ''))}", style="dim")


def _write_residue(page: Paper, report: Report, limit: int | None) -> None:
    # Conflicts are residue too, and stand above with all that is known about them.
    residue = [item for item in report.get("residue") or [] if item.get("kind") != "row"]
    if not residue:
        return
    page.heading("Left over: what a rollback cannot undo")
    kinds = Counter(_residue_words(item) for item in residue)
    for words, number in list(kinds.items())[:limit]:
        page.line(f"  {number:>9,}  {words if number == 1 else words.replace(' ', 's ', 1)}", style="warn")
    _write_more(page, len(kinds), limit)


def _residue_words(item: Report) -> str:
    """What is alike is counted: which one is which stands in `journal residue`."""
    where = (
        f" to {printable(item['topic'])}"
        if item.get("topic")
        else f" {printable(str(item.get('table') or ''))}".rstrip()
    )
    destinations = f", at {', '.join(item['destinations'])}" if item.get("destinations") else ""
    return f"{item['kind']}{where}{destinations}: {printable(str(item.get('reason') or ''))}"


def _write_more(page: Paper, total: int, limit: int | None) -> None:
    if limit is not None and total > limit:
        page.line(f"  … and {total - limit:,} more: --detail", style="dim")


def _write_end(page: Paper, report: Report) -> None:
    page.line()
    if report.get("committed"):
        page.line(
            f"  this rollback is session {report.get('rollback_id')}", style=_STYLES.get(str(report.get("outcome")))
        )
        page.line(f"  take it back: {report.get('redo')}")
        return
    if report.get("outcome") in {"planned", "done", "partly"} and report.get("plan_digest"):
        page.line(f"  plan {report['plan_digest']}", style="dim")
    counts = report.get("rows") or {}
    if counts.get("refuse"):
        _write_no_way(page, report)
    elif counts.get("conflict"):
        _write_way_on(page, report, counts)


def _write_no_way(page: Paper, report: Report) -> None:
    reasons = {conflict.get("reason") for conflict in report.get("conflicts") or []}
    if "column_dropped" in reasons and report.get("on_conflict") != "force":
        way_on = "rows with a column that was dropped since refuse the whole rollback; --on-conflict force undoes the rest of them"
    else:
        way_on = "what cannot be undone refuses the whole rollback, whatever --on-conflict says"
    page.line(f"  {way_on}", style="warn")


def _write_way_on(page: Paper, report: Report, counts: Mapping[str, int]) -> None:
    conflicts, mode = counts["conflict"], str(report.get("on_conflict"))
    if conflicts + (counts.get("noop") or 0) == counts.get("total"):
        others = ", everything else is as before already" if counts.get("noop") else ""
        page.line(
            f"  {plural(conflicts, 'row')} in conflict{others}; `journal history TABLE KEY` shows who changed a row",
            style="warn",
        )
    elif report.get("exit_code") == EXIT_REFUSED and mode in _WAYS_ON:
        page.line(f"  {_WAYS_ON[mode]}", style="warn")
