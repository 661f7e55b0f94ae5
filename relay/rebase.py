"""After a restore: what an operator decides about the database, and about a destination that is ahead of it or behind it.

Nothing here guesses. What is not at the destination is delivered, what the destination holds beyond our seals is named, and where
neither can be said the answer is another name.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from relay.destinations import destination_class
from relay.destinations.base import Owner
from relay.errors import LeaseLost, RelayError, SourceRewound, TailLost
from relay.point import Lease, Point, tail_of
from relay.reader import Reader
from relay.recovery import find_place
from relay.source import Source

if TYPE_CHECKING:
    from relay.destinations.base import Destination, Tail

_ANEW = "deliver to another stream or file under a new --name"
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Rebased:
    """What a rebase found and did. `lost`: ids of messages that the destination holds and this database does not (the first ones),
    `lost_count`: how many. `again`: how many positions the destination lost. `seal`: the seal that opened a new lineage."""

    outcome: str
    seal: int | None = None
    lost: tuple[str, ...] = ()
    lost_count: int = 0
    again: int = 0


class NeedsDecision(RelayError):
    """The destination and the database differ, and only a person can say how to go on."""

    exit_code = 3

    def __init__(self, message: str, hint: str, found: Rebased) -> None:
        super().__init__(message, hint=hint)
        self.found = found


async def rebase_database(dsn: str) -> Rebased:
    """Open a new lineage where this database was restored or copied; otherwise do nothing."""
    source = Source(dsn, "rebase")
    try:
        await source.open_connections()
        if not await source.needs_rebase():
            return Rebased("nothing")
        return Rebased("done", seal=await source.rebase())
    finally:
        await source.close()


async def rebase_destination(
    dsn: str, name: str, credentials: str | None, *, accept_tail: bool, replay_lost: bool
) -> Rebased:
    """Bring the lanes of a destination to where it stands. Raises `NeedsDecision` where it takes one of the flags."""
    source = Source(dsn, name)
    found: list[Rebased] = []
    try:
        await source.connect()
        url, lanes = await source.registered()
        kind = destination_class(url)
        destination = kind(kind.parse(url), credentials)
        try:
            await destination.open(Owner(source.origin, name, lanes), fresh=replay_lost)
            for lane in range(lanes):
                one = _Lane(source, destination, lane, accept_tail=accept_tail, replay_lost=replay_lost)
                found.append(await one.rebase())
        finally:
            await destination.close()
    finally:
        await source.close()
    return _together(found)


def _together(found: list[Rebased]) -> Rebased:
    done = [one for one in found if one.outcome == "done"]
    lost = tuple(message_id for one in done for message_id in one.lost)[:_SHOWN]
    return Rebased(
        "done" if done else "nothing",
        lost=lost,
        lost_count=sum(one.lost_count for one in done),
        again=sum(one.again for one in done),
    )


class _Lane:
    """One lane, held by this process while it decides."""

    def __init__(
        self, source: Source, destination: Destination, lane: int, *, accept_tail: bool, replay_lost: bool
    ) -> None:
        self._source = source
        self._destination = destination
        self._lane = lane
        self._accept_tail = accept_tail
        self._replay_lost = replay_lost

    async def rebase(self) -> Rebased:
        lease = await self._source.take(self._lane, uuid4(), f"{socket.gethostname()}:{os.getpid()}", 60)
        if lease is None:
            raise LeaseLost(
                f"a relay serves lane {self._lane} of {self._source.destination}", hint="stop it, then try again"
            )
        try:
            return await self._decided(lease)
        finally:
            await self._source.leave(lease)

    async def _decided(self, lease: Lease) -> Rebased:
        try:
            await find_place(self._source, self._destination, self._lane, lease.point)
        except SourceRewound as error:
            return await self._ahead(lease, error)
        except TailLost as error:
            return await self._behind(lease, error)
        return Rebased("nothing")

    async def _ahead(self, lease: Lease, error: SourceRewound) -> Rebased:
        """The destination holds what this database lost."""
        tail = await self._destination.tail(self._lane, tail_of(lease.point))
        if tail is None or tail.lineage is None or tail.message_id is None:
            raise error
        lost, next_seal = await self._lost(lease.point, tail, error)
        found = Rebased("done", lost=tuple(lost[:_SHOWN]), lost_count=len(lost))
        if not self._accept_tail:
            named = ", ".join(found.lost) + (" …" if len(lost) > _SHOWN else "")
            raise NeedsDecision(
                f"{self._source.destination} holds {len(lost)} messages that this database lost: {named}",
                f"to keep them there and go on behind them: relay rebase {self._source.destination} --accept-tail",
                found,
            )
        if await self._source.is_open_lineage(tail.lineage):
            await self._source.rebase()
        boundary = await self._source.last_seal_of(tail.lineage)
        if next_seal is not None and next_seal <= boundary:
            raise SourceRewound(
                f"{self._source.destination} lacks messages from before the restore beside those that it has too many",
                hint=_ANEW,
            )
        # Positions go on after the tail: those of the lost messages are not given again.
        point = Point(boundary, tail.position, boundary, 0, tail.message_id, tail.token, tail.position)
        await self._moved(lease, point)
        return found

    async def _lost(self, known: Point, tail: Tail, error: SourceRewound) -> tuple[list[str], int | None]:
        """Ids that only the destination has, and the seal of our first message that is not there (None: all are)."""
        stored = self._destination.read_back(self._lane, tail_of(known), tail)
        theirs = [pair async for pair in stored]
        reader = Reader(
            self._source,
            self._lane,
            known.last_stored,
            until=await self._source.last_seal(),
            batch_messages=1000,
            batch_bytes=1 << 40,
        )
        try:
            if tail.position <= known.position and tail.message_id != known.message_id:
                raise error  # they parted before the checkpoint: where, nobody knows
            while (batch := await reader.next()) is not None:
                for message in batch.messages:
                    if not theirs or theirs[0][1] != message.message_id:
                        return [one for _, one in theirs], message.seal
                    del theirs[0]
        finally:
            await reader.close()
        return [one for _, one in theirs], None

    async def _behind(self, lease: Lease, error: TailLost) -> Rebased:
        """The destination lost what it had acknowledged."""
        tail = await self._destination.tail(self._lane, None)
        held = tail.position if tail else 0
        found = Rebased("done", again=lease.point.position - held)
        if not self._replay_lost:
            raise NeedsDecision(
                str(error),
                f"to deliver positions {held + 1:,} to {lease.point.position:,} again (who has read them meets them twice): "
                f"relay rebase {self._source.destination} --replay-lost",
                found,
            )
        await self._moved(lease, Point(0) if tail is None else await self._place_of(tail))
        return found

    async def _place_of(self, tail: Tail) -> Point:
        seal, passed = await self._source.nearest_mark(self._lane, tail.position - 1)
        start = Point(seal, passed, passed=passed)
        until = await self._source.last_seal()
        reader = Reader(self._source, self._lane, start, until=until, batch_messages=1000, batch_bytes=1 << 40)
        try:
            while (batch := await reader.next()) is not None:
                for message in batch.messages:
                    if message.position == tail.position and message.message_id == tail.message_id:
                        passed = await self._source.position_at(self._lane, message.seal - 1)
                        return Point(0).after(message, message.seal - 1, passed, tail.token)
        finally:
            await reader.close()
        raise SourceRewound("the destination ends with a message that our seals do not have there", hint=_ANEW)

    async def _moved(self, lease: Lease, point: Point) -> None:
        if not await self._source.move(lease, point):
            raise LeaseLost(f"another relay has taken lane {self._lane}")
