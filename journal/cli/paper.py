"""What commands write on: results on stdout, talk on stderr. Rich makes it prettier where it is installed and a person reads."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import click

Cell = object
_NOTHING = "-"


def say(text: str) -> None:
    """Talk: to stderr, where it never mixes with results."""
    click.echo(text, err=True)


def print_json(value: object) -> None:
    """One JSON value on one line of stdout."""
    click.echo(json.dumps(value, default=_plain, ensure_ascii=False))


def print_rows(rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line."""
    for row in rows:
        print_json(row)


def utc(moment: datetime) -> str:
    """ISO 8601 in UTC with Z, to the second; a fraction is kept where there is one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def moment(text: str) -> str:
    """A time of a JSON report, to the second."""
    return utc(datetime.fromisoformat(text).replace(microsecond=0))


def plural(number: int, word: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """Text from a database, safe for a terminal: control characters are spelled out."""
    return "".join(_escape(char) if unicodedata.category(char) in {"Cc", "Cf"} else char for char in text)


def cell(value: Cell) -> str:
    """One value, as a person reads it."""
    match value:
        case None | "" | []:
            text = _NOTHING
        case bool():
            text = "yes" if value else "no"
        case int():
            text = f"{value:,}"
        case datetime():
            text = utc(value.replace(microsecond=0))
        case list() | tuple():
            text = ", ".join(cell(item) for item in value)
        case dict():
            text = " ".join(f"{name}={cell(item)}" for name, item in value.items())
        case _:
            text = str(value)
    return printable(text)


class Paper(ABC):
    """Where a report for a person is written."""

    @abstractmethod
    def heading(self, text: str) -> None:
        """A title, with room above it."""

    @abstractmethod
    def line(self, text: str = "", *, style: str | None = None) -> None:
        """One line. `style`: good, bad, warn, dim."""

    @abstractmethod
    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, right: Sequence[str] = ()) -> None:
        """A table; columns named in `right` hold numbers."""

    @abstractmethod
    def working(self, text: str) -> AbstractContextManager[object]:
        """Says that something is going on."""


class PlainPaper(Paper):
    """Text that any program can read."""

    def __init__(self, *, err: bool = False) -> None:
        self.err = err

    def heading(self, text: str) -> None:
        click.echo(f"\n{text}", err=self.err)

    def line(self, text: str = "", *, style: str | None = None) -> None:  # noqa: ARG002  plain text has no styles
        click.echo(text, err=self.err)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, right: Sequence[str] = ()) -> None:
        grid = [list(columns), *([cell(value) for value in row] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
        for row in grid:
            aligned = (
                text.rjust(width) if name in right else text.ljust(width)
                for name, text, width in zip(columns, row, widths, strict=True)
            )
            click.echo(f"  {'  '.join(aligned)}".rstrip(), err=self.err)

    def working(self, text: str) -> AbstractContextManager[object]:
        say(f"{text} …")
        return nullcontext()


def paper(*, err: bool = False) -> Paper:
    """For stdout, or stderr: rich where it is installed and that is a terminal, else plain text."""
    stream = sys.stderr if err else sys.stdout
    if stream.isatty() and importlib.util.find_spec("rich") is not None:
        colour = importlib.import_module("journal.cli.colour")
        return cast(Paper, colour.RichPaper(err=err))
    return PlainPaper(err=err)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _plain(value: object) -> object:
    match value:
        case datetime():
            return utc(value)
        case date() | UUID() | Decimal():
            return str(value)
        case timedelta():
            return value.total_seconds()
        case set() | frozenset() | tuple():
            return list(value)
        case _:
            return str(value)
