"""`journal residue` and `journal residue resolve`."""

from __future__ import annotations

from typing import Any

import click

from journal.cli.failures import EXIT_NOTHING, UsageError
from journal.cli.paper import paper, print_json, print_rows, say
from journal.cli.queries.ids import find_id
from journal.cli.queries.residue import residue_of, resolve_residue
from journal.cli.shell import Shell, with_shell

_SHOWN = ("residue_id", "kind", "table_name", "key", "column_name", "reason", "base", "ours", "theirs", "resolved_at")


class _WithResolve(click.Command):
    """`residue resolve ID` is a command of its own; any other word is a rollback's id."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args[:1] == ["resolve"]:
            return resolve.make_context(f"{info_name} resolve", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@click.command(cls=_WithResolve)
@click.argument("rollback", required=False, metavar="[ROLLBACK | resolve ID --note TEXT]")
@click.option("--open", "only_open", is_flag=True, help="Only what nobody has resolved.")
@with_shell
def residue(shell: Shell, *, rollback: str | None, only_open: bool) -> None:
    """List what rollbacks could not undo, or tick one off: residue resolve ID --note TEXT."""
    with shell.connect() as conn:
        found = residue_of(conn, find_id(conn, "rollback", rollback) if rollback else None, only_open=only_open)
    if shell.json:
        print_rows(found)
    elif found:
        paper().table(_SHOWN, ([row[name] for name in _SHOWN] for row in found))
    else:
        say("nothing is left")


@click.command()
@click.argument("residue_id", metavar="ID")
@click.option("--note", required=True, metavar="TEXT", help="What was done about it.")
@with_shell
def resolve(shell: Shell, *, residue_id: str, note: str) -> int:
    """Tick off one thing that a rollback left, with a note that says what was done about it."""
    if not note.strip():
        raise UsageError("--note says what was done about it")
    with shell.connect() as conn:
        whole_id = find_id(conn, "residue", residue_id)
        resolved = resolve_residue(conn, whole_id, note)
    code = 0 if resolved else EXIT_NOTHING
    outcome = "done" if resolved else "nothing"
    if shell.json:
        print_json({"schema": "journal.residue/1", "outcome": outcome, "exit_code": code, "residue_id": str(whole_id)})
    say("resolved" if resolved else "it was resolved before; nothing changed")
    return code
