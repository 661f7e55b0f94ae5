"""Reads a lane's messages on from a point, in batches, one ahead of the delivery.

Waits by polling: quickly while messages keep coming, slowly when none do. NOTIFY is not used: a producer that notifies takes a lock
of the whole cluster when it commits.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence

    from relay.message import Message
    from relay.source import Point, Source, Span

FIRST_WAIT = 0.001
LONGEST_WAIT = 0.02
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

    `until` is the last seal to read (None: go on for ever, and seal what is committed). `batch_messages` and `batch_bytes` limit a
    batch; a single message may be larger. What is set aside is left out, unless `aside`.
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
        aside: bool = False,
    ) -> None:
        self._source = source
        self._lane = lane
        self._until = until
        self._batch_messages = batch_messages
        self._batch_bytes = batch_bytes
        self._with_aside = aside
        self._closing = asyncio.Event()
        self._batches = self._read(point)
        self._ahead: asyncio.Task[Batch | None] | None = None

    async def next(self) -> Batch | None:
        """The next batch; None when everything up to `until` was read, or the reader was closed."""
        if self._ahead is None:
            self._ahead = asyncio.create_task(self._advance())
        # Whoever stops waiting must not stop the read: the connection would be left in the middle of a statement.
        batch = await asyncio.shield(self._ahead)
        self._ahead = asyncio.create_task(self._advance()) if batch is not None else None
        return batch

    async def close(self) -> None:
        """Let the read in flight end, and drop what it brings."""
        self._closing.set()
        if self._ahead is not None:
            await asyncio.wait({self._ahead})
            with contextlib.suppress(Exception):  # whoever waited for it was told
                self._ahead.result()
            self._ahead = None
        await self._batches.aclose()

    async def _advance(self) -> Batch | None:
        return await anext(self._batches, None)

    async def _read(self, point: Point) -> AsyncGenerator[Batch, None]:
        seal, passed = point.seal, point.passed
        if point.last_seal > seal:  # stored in part: go on inside it
            async for batch in self._read_parts(point.last_seal, point.last_id, passed, point.position):
                passed = batch.passed
                yield batch
            seal = point.last_seal
        while (span := await self._next_span(seal, passed)) is not None:
            if span.whole:
                for batch in self._cut(span.messages, span.through, passed):
                    yield batch
                passed += len(span.messages)
            else:
                async for batch in self._read_parts(span.through, 0, passed, passed):
                    passed = batch.passed
                    yield batch
            seal = span.through

    async def _read_parts(self, seal: int, after_place: int, passed: int, position: int) -> AsyncIterator[Batch]:
        """One seal that is too large to be read at once. Its last batch is empty: only then the seal is known to be read."""
        verify = True
        while messages := await self._source.read_part(self._lane, seal, after_place, position, verify=verify):
            verify = False
            for batch in self._cut(messages, seal - 1, passed):
                if batch.messages:
                    yield replace(batch, seal=seal - 1, passed=passed)
            after_place, position = messages[-1].place, messages[-1].position
        yield Batch((), seal, position)

    def _cut(self, messages: Sequence[Message], through: int, passed: int) -> Iterator[Batch]:
        """Batches of messages read together; after the last one everything up to `through` is stored. They begin after `passed`."""
        batch: list[Message] = []
        size, seal = 0, 0
        for message in messages:
            if message.seal != seal:
                seal, passed = message.seal, message.position - 1
            if message.aside and not self._with_aside:
                continue
            if batch and (len(batch) >= self._batch_messages or size + message.bytes > self._batch_bytes):
                yield Batch(batch, seal - 1, passed)
                batch, size = [], 0
            batch.append(message)
            size += message.bytes
        yield Batch(batch, through, messages[-1].position if messages else passed)

    async def _next_span(self, seal: int, passed: int) -> Span | None:
        """The next seals and their messages, waiting for them if need be."""
        wait = FIRST_WAIT
        while not self._closing.is_set() and (self._until is None or seal < self._until):
            span = await self._source.next(self._lane, seal, passed, self._until, and_seal=self._until is None)
            if span is not None:
                return span
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), wait)
            wait = min(wait * _GROWTH, LONGEST_WAIT)
        return None
