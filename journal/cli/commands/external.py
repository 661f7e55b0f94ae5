"""`journal external` and `journal external resolve`."""

from __future__ import annotations

from typing import Any

import click

from journal.cli.failures import EXIT_NOTHING, UsageError
from journal.cli.paper import paper, print_json, print_rows, say
from journal.cli.queries.external import externals, resolve_external
from journal.cli.queries.ids import find_id
from journal.cli.shell import Shell, with_shell

_SHOWN = ("step_id", "tool", "key", "attempt", "status", "provider_key", "intended_at", "settled_at", "note")


class _WithResolve(click.Command):
    """`external resolve STEP …` is a command of its own."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args[:1] == ["resolve"]:
            return resolve.make_context(f"{info_name} resolve", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@click.command(cls=_WithResolve, options_metavar="[resolve STEP completed|failed --note TEXT | OPTIONS]")
@click.option("--unknown", is_flag=True, help="Only those whose outcome nobody recorded.")
@with_shell
def external(shell: Shell, *, unknown: bool) -> None:
    """List effects outside the database, or say what became of one: external resolve STEP completed|failed --note TEXT."""
    with shell.connect() as conn:
        found = externals(conn, only_unknown=unknown)
    if shell.json:
        print_rows(found)
    elif found:
        paper().table(_SHOWN, ([row[name] for name in _SHOWN] for row in found))
    else:
        say("the outcome of every external effect is known" if unknown else "there are no external effects")


@click.command()
@click.argument("step", metavar="STEP")
@click.argument("outcome", type=click.Choice(["completed", "failed"]))
@click.option("--note", required=True, metavar="TEXT", help="How that is known.")
@with_shell
def resolve(shell: Shell, *, step: str, outcome: str, note: str) -> int:
    """Say what became of an external effect whose outcome is unknown. A retry of its key is told so."""
    if not note.strip():
        raise UsageError("--note says how that is known")
    with shell.connect() as conn:
        whole_id = find_id(conn, "external", step)
        resolved = resolve_external(conn, whole_id, outcome, note)
    code = 0 if resolved else EXIT_NOTHING
    if shell.json:
        done = "done" if resolved else "nothing"
        print_json({"schema": "journal.external/1", "outcome": done, "exit_code": code, "step_id": str(whole_id)})
    say(f"recorded as {outcome}" if resolved else "its outcome was recorded before; nothing changed")
    return code
