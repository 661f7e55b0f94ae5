"""Asking a person before anything is changed. A script says `--yes`, and `--max-rows` for large rollbacks."""

from __future__ import annotations

from dataclasses import dataclass

import click

from journal.cli.failures import UsageError
from journal.cli.paper import plural, say
from journal.cli.shell import Shell
from journal.errors import TooManyRows

DEFAULT_MAX_ROWS = 10_000


@dataclass(frozen=True)
class Consent:
    """What the command line has agreed to already."""

    yes: bool
    max_rows: int | None

    def check_size(self, shell: Shell, rows: int) -> None:
        """Raises `TooManyRows` when the plan is larger than was agreed to, and nobody is there to agree now."""
        limit = self.max_rows if self.max_rows is not None else DEFAULT_MAX_ROWS
        may_ask = shell.interactive and self.max_rows is None
        if rows > limit and not (may_ask and not self.yes):
            hint = f"look at the plan with --dry-run, then pass --max-rows {rows}"
            raise TooManyRows(
                f"the plan has {rows:,} rows, more than {limit:,}; nothing was changed",
                hint=hint,
                rows=rows,
                max_rows=limit,
            )

    def say_size(self, rows: int) -> None:
        """What a script would have to pass, where it only tries."""
        if self.max_rows is None and rows > DEFAULT_MAX_ROWS:
            say(f"to carry out a plan of {rows:,} rows a script passes --max-rows {rows}")

    def ask(self, shell: Shell, rows: int) -> bool:
        """Whether the rollback may go on. Raises `UsageError` when nobody can be asked."""
        if self.yes:
            return True
        if not shell.interactive:
            hint = "pass --yes to apply what the plan says, or --dry-run to look only"
            raise UsageError(
                "a rollback asks before it changes anything, and there is no terminal to ask on", hint=hint
            )
        if self.max_rows is None and rows > DEFAULT_MAX_ROWS:
            return _type(f"This plan is of {rows:,} rows. Type {rows} to go on", str(rows))
        return _type(f"Carry out this plan of {plural(rows, 'row')}? Type y to go on", "y")


def _type(question: str, expected: str) -> bool:
    answer: str = click.prompt(question, default="", show_default=False, err=True)
    return answer.strip().replace(",", "").lower() == expected
