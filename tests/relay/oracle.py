"""The judge of a delivery: what was committed against what arrived. It knows nothing of seals, lanes or relays.

Producers count up a row per key, under its lock, and publish the number in the same transaction. So whatever was committed is known
from those rows alone: for each key the numbers 1 to n, in that order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Arrived:
    """One message at a destination."""

    position: int
    message_id: str
    key: str
    number: int


class Unfaithful(AssertionError):
    """The delivery is not what was committed."""


def judge(committed: Mapping[str, int], arrived: Sequence[Arrived], *, dense: bool = True) -> None:
    """Raises `Unfaithful` unless `arrived`, in the order of the destination, is what was committed: nothing lost, nothing twice,
    nothing made up, in order per key, and at positions 1, 2, 3 …"""
    repeats = [message_id for message_id, times in Counter(one.message_id for one in arrived).items() if times > 1]
    _require(not repeats, f"{len(repeats)} messages arrived more than once")
    for key, last in committed.items():
        numbers = [one.number for one in arrived if one.key == key]
        missing = set(range(1, last + 1)) - set(numbers)
        _require(not missing, f"{len(missing)} messages of key {key} are lost")
        _require(len(numbers) == last, f"{len(numbers) - last} messages of key {key} were never committed")
        _require(numbers == sorted(numbers), f"the messages of key {key} are out of order")
    strangers = {one.key for one in arrived} - committed.keys()
    _require(not strangers, f"messages of unknown keys arrived: {sorted(strangers)}")
    if dense:
        positions = [one.position for one in arrived]
        _require(positions == list(range(1, len(arrived) + 1)), "positions have gaps or repeats")


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise Unfaithful(what)
