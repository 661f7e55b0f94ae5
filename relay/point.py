"""Where a lane stands: in our seals, and at the destination."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING

from relay.destinations.base import Tail

if TYPE_CHECKING:
    from uuid import UUID

    from relay.message import Message

of_point = attrgetter(
    "seal", "position", "passed", "last_seal", "last_id", "message_id", "token"
)  # as SQL takes a point


@dataclass(frozen=True, slots=True)
class Point:
    """How far a lane got: everything up to seal, and the message (last_seal, last_id) at position; its token at the destination.

    `passed` is the position up to which seal counts. It is beyond `position` where the last messages were set aside, and before it
    where the message stands inside a seal that is delivered in parts.
    """

    seal: int
    position: int = 0
    last_seal: int = 0
    last_id: int = 0
    message_id: str | None = None
    token: str = ""
    passed: int = 0

    def after(self, last: Message, seal: int, passed: int, token: str) -> Point:
        """The point once the batch that ends with `last`, and everything up to `seal`, is stored."""
        return Point(seal, last.position, last.seal, last.place, last.message_id, token, passed)

    def through(self, seal: int, passed: int) -> Point:
        """The point once everything up to `seal` is stored, set aside, or not for this lane."""
        return self if seal < self.seal else replace(self, seal=seal, passed=passed)

    @property
    def last_stored(self) -> Point:
        """This point without what was passed over since the last stored message; there a slow append may have put something."""
        if self.passed <= self.position:
            return self
        return replace(self, seal=max(self.last_seal - 1, 0), passed=0)


@dataclass(frozen=True, slots=True)
class Lease:
    """A lane that this process holds, where it stood when it was taken. `crashes`: how many relays ended there without a word;
    `trying`: the message that the last of them was delivering by itself."""

    lane: int
    epoch: int
    point: Point
    crashes: int = 0
    trying: str | None = None


@dataclass(frozen=True, slots=True)
class LaneRow:
    """What a relay needs of relay.lane, by name."""

    lane: int
    epoch: int
    seal: int
    position: int
    last_seal: int
    last_id: int
    message_id: UUID | None
    token: str | None
    passed: int
    crashes: int
    trying: UUID | None

    def lease(self) -> Lease:
        message_id = None if self.message_id is None else str(self.message_id)
        point = Point(self.seal, self.position, self.last_seal, self.last_id, message_id, self.token or "", self.passed)
        trying = None if self.trying is None else str(self.trying)
        return Lease(self.lane, self.epoch, point, self.crashes, trying)


def tail_of(point: Point) -> Tail | None:
    """What a destination should hold when a checkpoint is exact; None before the first message."""
    return None if point.position == 0 else Tail(point.position, point.message_id, None, point.token)
