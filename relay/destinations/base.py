"""The seam of a destination: where the tail is, and an append that the destination refuses when the tail is elsewhere.

A destination is one file here that subclasses `Destination`, one line in `relay/destinations/__init__.py`, and its page in
docs/destinations. Everything else, such as leases, order, reading back and waiting, is the same for all and lives in `relay`.
"""

from __future__ import annotations

import stat
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from relay.errors import DestinationRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from relay.message import Message

Guarantee = Literal["A", "B", "C", "D"]

GUARANTEES: Mapping[Guarantee, str] = {
    "A": "exactly once, in order per key: the destination refuses an append unless it continues what is there",
    "B": "exactly once, in order per key: the destination drops numbers that it has seen",
    "C": "at least once; the destination drops repeats within its time window",
    "D": "at least once, in order per key: a message may arrive twice after a crash, so the receiver must drop repeats by id",
}


@dataclass(frozen=True, slots=True)
class Tail:
    """The last message of a lane at a destination.

    `message_id` and `lineage` are None where only the number is left, which a driver may report only when nothing but an
    append can move that number. `token` is what the destination itself calls the position, and what an append expects.
    """

    position: int
    message_id: str | None
    lineage: str | None
    token: str


@dataclass(frozen=True, slots=True)
class Stored:
    """All of the batch is durably stored; `token` names the position of its last message."""

    token: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing of the batch was stored. `why`:

    moved    the tail is not the expected one
    batch    the batch as a whole; a smaller one may pass
    message  the batch's only message, for good
    busy     nothing at all is taken at the moment
    """

    why: Literal["moved", "batch", "message", "busy"]
    reason: str


@dataclass(frozen=True, slots=True)
class InDoubt:
    """It is not known what was stored."""

    reason: str


Outcome = Stored | Refused | InDoubt


@dataclass(frozen=True, slots=True)
class Limits:
    """What one append may hold. `message_bytes` counts as outbox.messages.bytes does, with room for what we add. `singles`: so few
    messages arrive sooner one after the other than as a batch."""

    message_bytes: int
    batch_messages: int = 1000
    batch_bytes: int = 4 * 1024 * 1024
    singles: int = 1


@dataclass(frozen=True, slots=True)
class Owner:
    """Who delivers: the outbox, and the destination's name in it. `lanes` as registered, or as asked for at the first run."""

    origin: str
    destination: str
    lanes: int = 1

    @property
    def mark(self) -> str:
        return f"{self.origin}/{self.destination}"


@dataclass(frozen=True, slots=True)
class Url:
    """A parsed destination URL. `shown` holds no credentials; `target` is what the default name is made of."""

    shown: str
    scheme: str
    target: str
    host: str = ""
    port: int = 0
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def default_name(self) -> str:
        return f"{self.scheme}:{self.target}"

    def lane_name(self, lane: int, lanes: int) -> str:
        """The stream of a lane, where each lane is a stream of its own: TARGET when there is one, else TARGET-0, TARGET-1 …"""
        return self.target if lanes == 1 and "lanes" not in self.options else f"{self.target}-{lane}"


class MalformedUrl(ValueError):
    """The URL of a destination is not usable; the message says what is expected and holds no credentials."""


def read_credentials(path: str) -> str:
    """What a file of credentials holds. Raises `DestinationRefused`, which names the file and nothing of its content."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        hint = "it must be text that the relay's user may read"
        raise DestinationRefused(f"the file of credentials cannot be read: {path}", hint=hint) from error


def _open_to_others(path: str) -> bool:
    return Path(path).exists() and bool(Path(path).stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


class Destination(ABC):
    """One destination. All methods may raise `DestinationUnavailable`; none of them retries.

    `credentials` is the path of a file. `notice` tells a person something that is no error.
    """

    guarantee: ClassVar[Guarantee]
    remembers: ClassVar[bool] = True
    """Whether the destination can tell its tail; where it cannot, the checkpoint is all there is."""

    def __init__(self, url: Url, credentials: str | None = None) -> None:
        self.url = url
        self.credentials = credentials
        self.notices: list[str] = []
        if credentials is not None and _open_to_others(credentials):
            self.notices.append(
                f"warning: {credentials} is open to other accounts of this host: chmod 600 {credentials}"
            )

    @classmethod
    @abstractmethod
    def parse(cls, url: str) -> Url:
        """The parts of a URL; connects to nothing. Raises `MalformedUrl`."""

    @abstractmethod
    async def open(self, owner: Owner, *, fresh: bool) -> Limits:
        """Connect, and make sure that the guarantee holds here. What is absent is made only when `fresh`: nothing was
        delivered yet. Raises `DestinationRefused` with the reason, `ForeignWriter`, `TailLost`."""

    @abstractmethod
    async def tail(self, lane: int, known: Tail | None) -> Tail | None:
        """The last message of a lane, None when it never held one. `known` is the checkpoint, for a destination whose last
        message is gone. Raises `ForeignWriter` when it is not one of ours, `TailLost` when nothing sound can be said."""

    @abstractmethod
    async def append(self, lane: int, batch: Sequence[Message], expected: Tail | None) -> Outcome:
        """Store a batch, all or nothing, if the tail is the expected one. Never raises for what the destination says."""

    @abstractmethod
    def read_back(self, lane: int, after: Tail | None, upto: Tail) -> AsyncIterator[tuple[int, str]]:
        """Position and message id of what is stored after one tail up to another, in order; what is gone is left out."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections and files. May be called twice."""
