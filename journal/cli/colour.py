"""The same in colours, on a terminal. Loaded only where rich is installed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from journal.cli.paper import Cell, Paper, cell

_STYLES = {"good": "green", "bad": "bold red", "warn": "yellow", "dim": "dim"}


class RichPaper(Paper):
    """A terminal, in colours. What comes from a database is never read as markup."""

    def __init__(self, *, err: bool = False) -> None:
        self.console = Console(highlight=False, soft_wrap=True, stderr=err)

    def heading(self, text: str) -> None:
        self.console.print()
        self.console.print(text, style="bold cyan", markup=False)

    def line(self, text: str = "", *, style: str | None = None) -> None:
        self.console.print(text, style=_STYLES.get(style or ""), markup=False)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, right: Sequence[str] = ()) -> None:
        table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
        for name in columns:
            table.add_column(name, justify="right" if name in right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell(value)) for value in row))
        self.console.print(table)

    def working(self, text: str) -> AbstractContextManager[object]:
        return self.console.status(Text(text))
