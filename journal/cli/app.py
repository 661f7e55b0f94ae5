"""The entry point: finds the command, and turns every error into one clear line and its exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from journal.cli.failures import EXIT_INTERRUPTED, Failure, explain
from journal.cli.paper import print_json, say

# In reading order, which is the order of `journal --help`. A command's module is loaded when it is called.
_COMMANDS = {
    "demo": "demo",
    "migrate": "migrate",
    "doctor": "doctor",
    "cover": "cover",
    "uncover": "cover",
    "coverage": "coverage",
    "sessions": "sessions",
    "show": "show",
    "changes": "changes",
    "history": "changes",
    "rollback": "rollback",
    "residue": "residue",
    "receipts": "receipts",
    "claims": "claims",
    "external": "external",
    "stop": "stop",
    "resume": "stop",
    "prune": "prune",
}


class App(click.Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"journal.cli.commands.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _ignore_closed_stdout()
            return 0

    def main(self, args: Sequence[str] | None = None, *positional: Any, **options: Any) -> NoReturn:
        """Run one command and exit. A command returns its exit code, or None for 0."""
        words = list(sys.argv[1:] if args is None else args)
        options["standalone_mode"] = False
        try:
            code = super().main(words, *positional, **options)
        except (click.Abort, KeyboardInterrupt):
            say("interrupted")
            sys.exit(EXIT_INTERRUPTED)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.ClickException as error:
            sys.exit(_report(Failure.of_usage(error), as_json="--json" in words))
        except Exception as error:
            failure = explain(error)
            if failure is None:
                raise
            sys.exit(_report(failure, as_json="--json" in words))
        sys.exit(code if isinstance(code, int) else 0)


def _report(failure: Failure, *, as_json: bool) -> int:
    """An error is the result of a command that was asked for JSON; otherwise it is talk."""
    if as_json:
        print_json(failure.as_json())
        return failure.exit_code
    say(f"{failure.label}: {failure.message}")
    if failure.hint:
        say(f"hint: {failure.hint}")
    return failure.exit_code


def _ignore_closed_stdout() -> None:
    """Whoever read us has had enough; the interpreter's last flush must not complain either."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  stays open until the end


@click.command(cls=App, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="agent-journal")
def main() -> None:
    """Undo one AI agent's session in a live Postgres, see what it did, and prove it."""
