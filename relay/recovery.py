"""Where a lane goes on: the checkpoint, what the destination holds, and what our seals say must agree.

Neither a number nor a tail is believed by itself: a destination's last message counts only if our seals give that message that
position, and everything between the checkpoint and the tail is read back and compared.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from relay.errors import ForeignWriter, SourceRewound, TailLost
from relay.point import tail_of
from relay.reader import Reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from relay.destinations.base import Destination, Tail
    from relay.point import Point
    from relay.source import Source

_REBASE = "make sure that no copy of the database publishes; then decide with: relay rebase NAME"
_LOST = "look for what removed messages from the destination; then decide with: relay rebase NAME"


async def find_place(source: Source, destination: Destination, lane: int, known: Point) -> Point:
    """The point from which to go on, given the last point that this relay knows to be stored.

    Raises `TailLost`, `SourceRewound`, `ForeignWriter`, `DestinationUnavailable`.
    """
    if not destination.remembers:
        return known
    try:
        return await _found_place(source, destination, lane, known)
    except (SourceRewound, TailLost) as error:
        error.advise((error.hint or "").replace("NAME", source.destination))
        raise


async def _found_place(source: Source, destination: Destination, lane: int, known: Point) -> Point:
    tail = await destination.tail(lane, tail_of(known))
    if tail is None or tail.position < known.position:
        if known.position == 0:
            return known
        held = tail.position if tail else 0
        raise TailLost(f"the destination ends at position {held} and had acknowledged {known.position}", hint=_LOST)
    if tail.lineage is not None and not await source.knows_lineage(tail.lineage):
        raise ForeignWriter("the destination holds messages of another database", hint="use another stream or file")
    if tail.position == known.position:
        _compare(known.position, known.message_id, tail.message_id)
        return replace(known, token=tail.token)
    return await _adopt(source, destination, lane, known, tail)


async def _adopt(source: Source, destination: Destination, lane: int, known: Point, tail: Tail) -> Point:
    """Go through our seals up to the tail, message by message beside what the destination holds.

    What was set aside and is there all the same was appended by a relay that was slow, and counts as delivered where it is.
    """
    last_seal = await source.last_seal()
    stored = destination.read_back(lane, tail_of(known), tail)
    there = await anext(stored, None)
    start = known.last_stored
    reader = Reader(source, lane, start, until=last_seal, batch_messages=1000, batch_bytes=1 << 40, aside=True)
    try:
        while (batch := await reader.next()) is not None:
            for message in batch.messages:
                is_there = there is not None and there[0] == message.position
                if message.aside and tail.message_id is None:
                    raise TailLost("messages were set aside on the way to a tail that is gone", hint=_LOST)
                if is_there and there is not None:
                    _compare(message.position, message.message_id, there[1])
                    there = await anext(stored, None)
                    if message.aside:
                        await source.note_arrival(message)
                if message.position == tail.position:
                    _compare(tail.position, message.message_id, tail.message_id)
                    _nothing_left(there)
                    # The seal may have more for this lane: the next read goes on inside it.
                    passed = await source.position_at(lane, message.seal - 1)
                    return known.after(message, message.seal - 1, passed, tail.token)
    finally:
        await reader.close()
        await _closed(stored)
    raise SourceRewound(
        f"the destination holds messages up to position {tail.position} that were never sealed here: the database was restored",
        hint=_REBASE,
    )


def _compare(position: int, ours: str | None, theirs: str | None) -> None:
    if ours is not None and theirs is not None and ours != theirs:
        raise SourceRewound(
            f"at position {position} the destination holds message {theirs}, and our seals say {ours}", hint=_REBASE
        )


def _nothing_left(there: tuple[int, str] | None) -> None:
    """What was read back must have been met on the way: a position of its own belongs to nobody's seals."""
    if there is not None:
        raise ForeignWriter(
            f"the destination holds a message at position {there[0]} out of order",
            hint="give the relay a stream of its own",
        )


async def _closed(stored: AsyncIterator[tuple[int, str]]) -> None:
    close = getattr(stored, "aclose", None)
    if close is not None:
        await close()
