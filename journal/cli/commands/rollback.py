"""`journal rollback`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import click

from journal.cli.consent import DEFAULT_MAX_ROWS, Consent
from journal.cli.failures import EXIT_NOTHING, EXIT_REFUSED, UsageError
from journal.cli.paper import paper, print_json, say
from journal.cli.queries.changes import step_of
from journal.cli.queries.ids import find_id
from journal.cli.queries.rollback import LIST_LENGTH, WHOLE_LISTS, Report, RollbackRequest, apply, as_sql, report_of
from journal.cli.queries.sessions import SessionFilter, sessions_of
from journal.cli.rollback_report import write_report
from journal.cli.shell import Connection, Shell, with_shell
from journal.cli.values import Duration, Moment

_WAIT = timedelta(seconds=30)
_REHEARSAL_WAIT = timedelta(seconds=1)
_ON_CONFLICT = ("refuse", "skip", "cascade", "force")
_NOTHING: Report = {"schema": "journal.rollback/1", "outcome": "nothing", "exit_code": EXIT_NOTHING, "committed": False}


@click.command()
@click.option("--session", "sessions", multiple=True, metavar="ID", help="This session; may be repeated.")
@click.option("--agent", metavar="NAME", help="All sessions of this agent that were opened since --since.")
@click.option("--since", type=Moment(), help="With --agent: opened at or after this time, or this long ago.")
@click.option("--until", type=Moment(), help="With --agent: opened before this time.")
@click.option(
    "--step",
    "steps",
    multiple=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Only this step of the session; may be repeated.",
)
@click.option(
    "--on-conflict",
    type=click.Choice(_ON_CONFLICT),
    default="refuse",
    show_default=True,
    help="Rows that others changed since: refuse all, leave these, roll back the agent sessions in the way too, or overwrite.",
)
@click.option("--dry-run", is_flag=True, help="Do it, report, and undo all of it.")
@click.option(
    "--rehearse",
    is_flag=True,
    help="As --dry-run, for cron: would it succeed right now?",
)
@click.option("--plan", "digest", metavar="DIGEST", help="Apply this plan only, as printed before.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--max-rows", type=click.IntRange(min=0), metavar="N", help=f"Refuse larger plans.  [default: {DEFAULT_MAX_ROWS}]"
)
@click.option(
    "--wait",
    type=Duration(),
    help="How long to wait for locks.  [default: 30s; with --rehearse 1s]",
    metavar="DURATION",
)
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the rollback.")
@click.option("--detail", is_flag=True, help="Do not shorten lists.")
@click.option("--sql", "show_sql", is_flag=True, help="Print the call for psql; change nothing.")
@click.argument("words", nargs=-1, metavar="")
@with_shell
def rollback(
    shell: Shell,
    *,
    words: tuple[str, ...],
    sessions: tuple[str, ...],
    agent: str | None,
    since: datetime | None,
    until: datetime | None,
    steps: tuple[int, ...],
    on_conflict: str,
    dry_run: bool,
    rehearse: bool,
    digest: str | None,
    yes: bool,
    max_rows: int | None,
    wait: timedelta | None,
    reason: str,
    detail: bool,
    show_sql: bool,
) -> int:
    """Undo what a session did to the rows, and nothing else. Shows the plan and asks first."""
    if words:
        raise UsageError(f"{words[0]!r} stands alone", hint=f"name a session with --session {words[0]}")
    _check_options(sessions, agent, since, until, steps, trying=dry_run + rehearse)
    with shell.connect() as conn:
        session_ids = _session_ids(conn, sessions, agent, since, until)
        if not session_ids:
            say(f"no session of {agent!r} was opened in that time; `journal sessions` lists all")
            return _print(shell, _NOTHING, detail=detail)
        step_ids = [_step_id(conn, session_ids[0], ordinal) for ordinal in steps] or None
        shown = WHOLE_LISTS if detail else LIST_LENGTH
        wait = wait or (_REHEARSAL_WAIT if rehearse else _WAIT)
        request = RollbackRequest(session_ids, step_ids, on_conflict, digest, reason, max_rows, wait, shown)
        consent = Consent(yes, max_rows)
        if show_sql:
            click.echo(as_sql(request))
            return 0
        if dry_run or rehearse:
            report = report_of(conn, request, "dry_run" if dry_run else "rehearse", progress=not shell.json)
            consent.say_size(int(report["rows"]["total"]))
        else:
            report = _apply(shell, conn, request, consent, detail=detail)
    return _print(shell, report, detail=detail)


def _apply(shell: Shell, conn: Connection, request: RollbackRequest, consent: Consent, *, detail: bool) -> Report:
    """Show the plan, ask, and apply exactly that plan."""
    plan = report_of(conn, request, "plan", progress=not shell.json)
    if plan["outcome"] != "planned":
        return plan
    if plan["exit_code"] == EXIT_REFUSED:
        return {**plan, "outcome": "refused"}  # known before anything was asked or stopped
    rows = int(plan["rows"]["total"])
    consent.check_size(shell, rows)
    if shell.interactive and not consent.yes:
        write_report(paper(err=True), plan, detail=detail)
    if not consent.ask(shell, rows):
        return {**plan, "outcome": "declined", "exit_code": EXIT_REFUSED}
    _say_what_stops(plan, request)
    try:
        return apply(conn, request, plan, progress=not shell.json)
    except KeyboardInterrupt:
        say("a rollback takes effect whole or not at all: `journal sessions` lists it if it did")
        raise


def _say_what_stops(plan: Report, request: RollbackRequest) -> None:
    """Stopping is committed before the rollback begins, and stays whatever becomes of that."""
    for session in plan["sessions"] if request.step_ids is None else []:
        if session["status_before"] in {"open", "abandoned"}:
            say(f"session {session['session_id']} is stopped for good")


def _check_options(
    sessions: Sequence[str],
    agent: str | None,
    since: datetime | None,
    until: datetime | None,
    steps: Sequence[int],
    *,
    trying: int,
) -> None:
    if bool(sessions) == bool(agent):
        raise UsageError("name the session with --session, or an agent with --agent and --since")
    if agent and since is None:
        raise UsageError("--agent needs --since: from when on its sessions are rolled back")
    if sessions and (since or until):
        raise UsageError("--since and --until go with --agent")
    if steps and len(sessions) != 1:
        raise UsageError("--step needs exactly one --session")
    if trying > 1:
        raise UsageError("--dry-run and --rehearse exclude each other")


def _session_ids(
    conn: Connection, sessions: Sequence[str], agent: str | None, since: datetime | None, until: datetime | None
) -> list[UUID]:
    if sessions:
        return [find_id(conn, "session", text) for text in sessions]
    found = sessions_of(conn, SessionFilter(agent=agent, since=since, until=until))
    return [row["session_id"] for row in found if row["kind"] == "agent"]


def _step_id(conn: Connection, session_id: UUID, ordinal: int) -> UUID:
    step_id = step_of(conn, session_id, ordinal)
    if step_id is None:
        raise UsageError(f"the session has no step {ordinal}", hint=f"`journal show {session_id}` lists them")
    return step_id


def _print(shell: Shell, report: dict[str, Any], *, detail: bool) -> int:
    if shell.json:
        print_json(report)
    else:
        write_report(paper(), report, detail=detail)
    return int(report["exit_code"])
