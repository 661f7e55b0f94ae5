"""Times, durations and keys as people write them; what terminals are spared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest

from journal.cli.paper import cell, moment, plural, printable, utc
from journal.cli.values import Moment, duration, row_key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", timedelta(seconds=30)),
        ("90m", timedelta(minutes=90)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5d", timedelta(hours=36)),
        ("250ms", timedelta(milliseconds=250)),
        ("30", None),
        ("", None),
        ("long", None),
    ],
)
def test_durations(text: str, expected: timedelta | None) -> None:
    assert duration(text) == expected


def test_a_time_without_a_zone_is_utc() -> None:
    assert Moment().convert("2026-11-22T03:04:05", None, None) == datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)
    assert Moment().convert("2026-11-22T03:04:05+02:00", None, None) == datetime(2026, 11, 22, 1, 4, 5, tzinfo=UTC)
    assert Moment().convert("2026-11-22", None, None) == datetime(2026, 11, 22, tzinfo=UTC)


def test_keys_of_one_and_of_several_columns() -> None:
    assert row_key(["42"], ["id"]) == {"id": "42"}
    assert row_key(["id=42"], ["id"]) == {"id": "42"}
    assert row_key(["a=b"], ["id"]) == {"id": "a=b"}
    assert row_key(["line=7", "order_id=4=2"], ["order_id", "line"]) == {"order_id": "4=2", "line": "7"}


@pytest.mark.parametrize(
    "words", [["42"], ["order_id=1"], ["order_id=1", "line=2", "x=3"], ["order_id=1", "order_id=2"]]
)
def test_a_key_names_all_columns_and_no_others(words: list[str]) -> None:
    with pytest.raises(click.UsageError, match="order_id=… line=…"):
        row_key(words, ["order_id", "line"])


def test_control_and_direction_characters_are_spelled_out() -> None:
    assert printable("a\x1b[31mb\n\u202ec") == r"a\x1b[31mb\n\u202ec"
    assert cell({"id": "\x07"}) == r"id=\x07"


def test_cells() -> None:
    assert [cell(value) for value in (None, "", [], True, 12345, ["a", "b"], {"id": "7"})] == [
        *("-", "-", "-", "yes", "12,345"),
        *("a, b", "id=7"),
    ]


def test_times_are_printed_in_utc() -> None:
    assert utc(datetime.fromisoformat("2026-11-22T05:04:05.5+02:00")) == "2026-11-22T03:04:05.500000Z"
    assert moment("2026-11-22T03:04:05.123456Z") == "2026-11-22T03:04:05Z"


def test_one_row_two_rows() -> None:
    assert [plural(number, "row") for number in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]
