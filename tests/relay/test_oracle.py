"""The oracle itself: it passes a faithful delivery, and sees every fault that is put into one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.relay.oracle import Arrived, Unfaithful, judge

if TYPE_CHECKING:
    from collections.abc import Callable

COMMITTED = {"a": 3, "b": 2}
FAITHFUL = [
    Arrived(1, "m1", "a", 1),
    Arrived(2, "m2", "b", 1),
    Arrived(3, "m3", "a", 2),
    Arrived(4, "m4", "a", 3),
    Arrived(5, "m5", "b", 2),
]


def test_a_faithful_delivery_passes() -> None:
    judge(COMMITTED, FAITHFUL)


def _renumbered(arrived: list[Arrived]) -> list[Arrived]:
    return [replace(one, position=position) for position, one in enumerate(arrived, 1)]


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        pytest.param(lambda m: _renumbered(m[:2] + m[3:]), "lost", id="a message in the middle is lost"),
        pytest.param(lambda m: m[:-1], "lost", id="the last message is lost"),
        pytest.param(lambda m: _renumbered([*m, m[0]]), "more than once", id="a message is repeated"),
        pytest.param(lambda m: _renumbered([m[0], m[0], *m[1:]]), "more than once", id="a message is doubled"),
        pytest.param(
            lambda m: _renumbered([m[2], m[1], m[0], *m[3:]]), "out of order", id="two messages of a key are swapped"
        ),
        pytest.param(
            lambda m: [*m[:2], *(replace(one, position=one.position + 1) for one in m[2:])], "gaps", id="a hole"
        ),
        pytest.param(
            lambda m: _renumbered([*m, Arrived(6, "m6", "a", 4)]),
            "never committed",
            id="a message of a rolled back transaction",
        ),
        pytest.param(
            lambda m: _renumbered([*m, Arrived(6, "m6", "c", 1)]), "unknown", id="a message of another writer"
        ),
        pytest.param(
            lambda m: _renumbered([*m[:4], replace(m[4], message_id="m6", number=1)]),
            "lost",
            id="one in place of another",
        ),
    ],
)
def test_a_fault_is_seen(fault: Callable[[list[Arrived]], list[Arrived]], seen: str) -> None:
    with pytest.raises(Unfaithful, match=seen):
        judge(COMMITTED, fault(list(FAITHFUL)))


def test_messages_of_different_keys_may_change_places() -> None:
    judge(COMMITTED, _renumbered([FAITHFUL[1], FAITHFUL[0], *FAITHFUL[2:]]))
