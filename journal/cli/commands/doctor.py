"""`journal doctor`."""

from __future__ import annotations

import click
import psycopg

from journal.cli.covering import CoverOptions, cover_all
from journal.cli.failures import EXIT_FAILED, EXIT_NOTHING, EXIT_PARTLY, UsageError
from journal.cli.paper import paper, print_json, say
from journal.cli.shell import Shell, require_schema, with_shell
from journal.doctor import Finding, examine

_STYLES = {"error": "bad", "warning": "warn", "note": "dim"}


@click.command()
@click.option("--fix", is_flag=True, help="Cover again what is stale or has a gap.")
@click.option(
    "--ready", is_flag=True, help="Only: is the database there and of the right version? For readiness probes."
)
@click.option("--check", is_flag=True, help="Exit 1 when there is an error among the findings.")
@with_shell
def doctor(shell: Shell, *, fix: bool, ready: bool, check: bool) -> int:
    """Look for what would break the journal's promises, and say what to do."""
    if fix + ready + check > 1:
        raise UsageError("--fix, --ready and --check exclude each other")
    with psycopg.connect(shell.conninfo, autocommit=True) as conn:
        if ready:
            require_schema(conn)
            return _print(shell, [], 0)
        findings = examine(conn)
        if fix:
            return _fix(shell, conn, findings)
    broken = any(finding.level == "error" for finding in findings)
    return _print(shell, findings, EXIT_FAILED if check and broken else 0)


def _fix(shell: Shell, conn: psycopg.Connection, findings: list[Finding]) -> int:
    """What covering again mends, is mended; the report says how it is afterwards."""
    tables = [finding.cover for finding in findings if finding.cover]
    for table in cover_all(conn, tables, CoverOptions()):
        say(f"{table.table}: {table.words}")
    left = examine(conn) if tables else findings
    broken = any(finding.level == "error" for finding in left)
    return _print(shell, left, (EXIT_PARTLY if tables else EXIT_FAILED) if broken else 0 if tables else EXIT_NOTHING)


def _print(shell: Shell, findings: list[Finding], code: int) -> int:
    if shell.json:
        outcome = {0: "done", EXIT_NOTHING: "nothing", EXIT_PARTLY: "partly"}.get(code, "refused")
        healthy = all(finding.level != "error" for finding in findings)
        report = {"schema": "journal.doctor/1", "outcome": outcome, "exit_code": code, "healthy": healthy}
        print_json({**report, "findings": [finding.as_json() for finding in findings]})
        return code
    page = paper()
    for finding in findings:
        page.line(f"{finding.level:<8}{finding.what}", style=_STYLES[finding.level])
        if finding.fix:
            page.line(f"        {finding.fix}", style="dim")
    if not findings:
        say("nothing to complain about")
    return code
