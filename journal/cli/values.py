"""What people write on the command line: times, durations, keys of rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")


def duration(text: str) -> timedelta | None:
    """`90m`, `2h`, `1h30m`; None when the text is none."""
    if not _DURATION.fullmatch(text.strip()):
        return None
    return timedelta(**{_UNITS[unit]: float(amount) for amount, unit in _PART.findall(text)})


class Duration(click.ParamType[timedelta]):
    """A length of time such as `30s` or `2h`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = duration(str(value))
        if found is None:
            self.fail(f"{value!r} is no duration; write 30s, 90m, 2h or 7d", param, ctx)
        return found


class Moment(click.ParamType[datetime]):
    """A point in time: ISO, in UTC unless it says otherwise, or how long ago, such as `90m`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        ago = duration(str(value))
        if ago is not None:
            return datetime.now(UTC) - ago
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time; write 2026-11-22T03:04:05Z, or 90m, 2h, 7d for how long ago", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def row_key(words: Sequence[str], columns: Sequence[str]) -> Mapping[str, str]:
    """The key of a row as written: `42`, or `order_id=42 line=7`. `columns` are those of the table's key.

    Raises `click.UsageError` when it does not name exactly these columns.
    """
    if len(columns) == 1 and len(words) == 1 and not words[0].startswith(f"{columns[0]}="):
        return {columns[0]: words[0]}
    pairs = dict(word.partition("=")[::2] for word in words if "=" in word)
    if set(pairs) != set(columns) or len(pairs) != len(words):
        raise click.UsageError(f"the key of this table is written {' '.join(f'{name}=…' for name in columns)}")
    return pairs
