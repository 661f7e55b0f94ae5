"""Reads a lane's messages on from a point, and cuts them into batches, one read ahead of the delivery.

Waits by polling: quickly while messages keep coming, slowly when none do. NOTIFY is not used: a producer that notifies takes a lock
of the whole cluster when it commits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from relay.source import MEMBERS_PER_READ

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence

    from relay.message import Message
    from relay.point import Point
    from relay.source import Source, Span

FIRST_WAIT = 0.001
LONGEST_WAIT = 0.02
FIRST_MEMBERS = MEMBERS_PER_READ // 2  # nothing can be delivered while the first read lasts
_GROWTH = 1.2


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages to append together. Once they are stored, everything up to `seal`, which is up to position `passed`, is stored or
    set aside."""

    messages: Sequence[Message]
    seal: int
    passed: int


class Reader:
    """The batches of a lane after a point.

    `until` is the last seal to read (None: go on for ever, and seal what is committed). `batch_messages`, which may be changed, and
    `batch_bytes` limit a batch; a single message may be larger. Up to `singles` messages that are read together become batches of
    one each. What is set aside is left out, unless `aside`.
    """

    def __init__(
        self,
        source: Source,
        lane: int,
        point: Point,
        *,
        until: int | None,
        batch_messages: int,
        batch_bytes: int,
        singles: int = 0,
        aside: bool = False,
    ) -> None:
        self._source = source
        self._lane = lane
        self._until = until
        self.batch_messages = batch_messages
        self._batch_bytes = batch_bytes
        self._singles = singles
        self._with_aside = aside
        self._members = FIRST_MEMBERS
        self._closing = asyncio.Event()
        self._reads = self._read(point)
        self._ready: deque[Batch] = deque()
        self._ahead: asyncio.Task[list[Batch] | None] | None = None

    async def next(self) -> Batch | None:
        """The next batch; None when everything up to `until` was read, or the reader was closed."""
        while not self._ready:
            if self._ahead is None:
                self._ahead = asyncio.create_task(self._advance())
            # Whoever stops waiting must not stop the read: the connection would be left in the middle of a statement.
            batches = await asyncio.shield(self._ahead)
            self._ahead = asyncio.create_task(self._advance()) if batches is not None else None
            if batches is None:
                return None
            self._ready.extend(batches)
        return self._ready.popleft()

    async def close(self) -> None:
        """Let the read in flight end, and drop what it brings."""
        self._closing.set()
        if self._ahead is not None:
            await asyncio.wait({self._ahead})
            with contextlib.suppress(Exception):  # whoever waited for it was told
                self._ahead.result()
            self._ahead = None
        await self._reads.aclose()

    async def _advance(self) -> list[Batch] | None:
        return await anext(self._reads, None)

    async def _read(self, point: Point) -> AsyncGenerator[list[Batch], None]:
        """The batches of one read after the other."""
        seal, passed = point.seal, point.passed
        if point.last_seal > seal:  # stored in part: go on inside it
            async for batches in self._read_parts(point.last_seal, point.last_id, passed, point.position):
                yield batches
                passed = batches[-1].passed if batches else passed
            seal = point.last_seal
        while (span := await self._next_span(seal, passed)) is not None:
            if span.whole:
                yield list(self._cut(span.messages, span.through, passed))
                passed += len(span.messages)
            else:
                async for batches in self._read_parts(span.through, 0, passed, passed):
                    yield batches
                    passed = batches[-1].passed if batches else passed
            seal = span.through

    async def _read_parts(self, seal: int, after_place: int, passed: int, position: int) -> AsyncIterator[list[Batch]]:
        """One seal that is too large to be read at once. Its last batch is empty: only then the seal is known to be read."""
        verify = True
        while messages := await self._source.read_part(self._lane, seal, after_place, position, verify=verify):
            verify = False
            cut = self._cut(messages, seal - 1, passed)
            yield [replace(batch, seal=seal - 1, passed=passed) for batch in cut if batch.messages]
            after_place, position = messages[-1].place, messages[-1].position
        yield [Batch((), seal, position)]

    def _cut(self, messages: Sequence[Message], through: int, passed: int) -> Iterator[Batch]:
        """Batches of messages read together; after the last one everything up to `through` is stored. They begin after `passed`."""
        most = 1 if len(messages) <= self._singles else self.batch_messages
        batch: list[Message] = []
        size, seal = 0, 0
        for message in messages:
            if message.seal != seal:
                seal, passed = message.seal, message.position - 1
            if message.aside and not self._with_aside:
                continue
            if batch and (len(batch) >= most or size + message.bytes > self._batch_bytes):
                yield Batch(batch, seal - 1, passed)
                batch, size = [], 0
            batch.append(message)
            size += message.bytes
        yield Batch(batch, through, messages[-1].position if messages else passed)

    async def _next_span(self, seal: int, passed: int) -> Span | None:
        """The next seals and their messages, waiting for them if need be."""
        wait = FIRST_WAIT
        while not self._closing.is_set() and (self._until is None or seal < self._until):
            span = await self._source.next(
                self._lane, seal, passed, self._until, and_seal=self._until is None, members=self._members
            )
            if span is not None:
                self._members = MEMBERS_PER_READ
                return span
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), wait)
            wait = min(wait * _GROWTH, LONGEST_WAIT)
        return None
