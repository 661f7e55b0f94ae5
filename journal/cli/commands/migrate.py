"""`journal migrate`."""

from __future__ import annotations

import click
from psycopg.conninfo import conninfo_to_dict

from journal.cli.failures import EXIT_FAILED, UsageError
from journal.cli.paper import print_json, say
from journal.cli.shell import Shell, with_shell
from journal.migrate import migrate as migrate_database
from journal.migrate import migration_sql, roles_sql, status


@click.command()
@click.option("--to", metavar="REV", help="Stop at this revision; default: the newest.")
@click.option("--sql", "show_sql", is_flag=True, help="Print the SQL for an empty database; change nothing.")
@click.option("--check", is_flag=True, help="Exit 1 unless the database is at the expected revision; change nothing.")
@click.option("--no-roles", is_flag=True, help="Make no roles: the migrating role owns everything.")
@click.option("--roles-sql", is_flag=True, help="Print the part that needs a DBA; change nothing.")
@with_shell
def migrate(shell: Shell, *, to: str | None, show_sql: bool, check: bool, no_roles: bool, roles_sql: bool) -> int:
    """Bring the database to the schema that this version expects. Safe to repeat."""
    if sum((show_sql, check, roles_sql)) > 1:
        raise UsageError("--sql, --check and --roles-sql exclude each other")
    if roles_sql:
        return _print_roles(shell)
    if show_sql:
        return _print_script(to, no_roles=no_roles)
    return _check(shell) if check else _migrate(shell, to, no_roles=no_roles)


def _migrate(shell: Shell, to: str | None, *, no_roles: bool) -> int:
    done = migrate_database(shell.conninfo, to=to, no_roles=no_roles)
    outcome = "done" if done.changed else "nothing"
    _print(shell, outcome, 0, before=done.before, after=done.after)
    say(f"migrated from {done.before or 'nothing'} to {done.after}" if done.changed else f"already at {done.after}")
    return 0


def _check(shell: Shell) -> int:
    found = status(shell.conninfo)
    code = 0 if found.current else EXIT_FAILED
    _print(shell, "done" if found.current else "refused", code, before=found.found, after=found.expected)
    say(f"the database is at {found.found or 'no revision'}, expected is {found.expected}")
    return code


def _print_script(to: str | None, *, no_roles: bool) -> int:
    click.echo(migration_sql(to=to, no_roles=no_roles), nl=False)
    return 0


def _print_roles(shell: Shell) -> int:
    """Needs no database: the role's name is known from the connection string, or left to the DBA."""
    user = conninfo_to_dict(shell.conninfo).get("user")
    click.echo(roles_sql(str(user) if user else None), nl=False)
    return 0


def _print(shell: Shell, outcome: str, exit_code: int, *, before: str | None, after: str) -> None:
    if shell.json:
        report = {"schema": "journal.migrate/1", "outcome": outcome, "exit_code": exit_code}
        print_json({**report, "found": before, "expected": after})
