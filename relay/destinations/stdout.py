"""Standard output, one CloudEvents JSON object a line: to look at messages, or to pipe them on. It remembers nothing."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, ClassVar

from relay.destinations.base import (
    Destination,
    Guarantee,
    InDoubt,
    Limits,
    MalformedUrl,
    Outcome,
    Owner,
    Stored,
    Tail,
    Url,
)
from relay.errors import DestinationRefused
from relay.message import json_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from relay.message import Message


class Stdout(Destination):
    """`stdout:`"""

    guarantee: ClassVar[Guarantee] = "D"
    remembers: ClassVar[bool] = False

    @classmethod
    def parse(cls, url: str) -> Url:
        if url != "stdout:":
            raise MalformedUrl("standard output is written stdout:")
        return Url(shown=url, scheme="stdout", target="")

    async def open(self, owner: Owner, *, fresh: bool) -> Limits:  # noqa: ARG002  there is nothing to open
        return Limits(message_bytes=64 * 1024 * 1024)

    async def tail(self, lane: int, known: Tail | None) -> Tail | None:  # noqa: ARG002
        return known

    async def append(self, lane: int, batch: Sequence[Message], expected: Tail | None) -> Outcome:  # noqa: ARG002
        try:
            await asyncio.to_thread(_write, b"".join(map(json_line, batch)))
        except BrokenPipeError as error:
            raise DestinationRefused(
                "nobody reads standard output any more", hint="run it again, with a reader that stays"
            ) from error
        except OSError as error:
            return InDoubt(f"standard output: {error.strerror or error}")
        return Stored(token="")

    async def read_back(self, lane: int, after: Tail | None, upto: Tail) -> AsyncIterator[tuple[int, str]]:  # noqa: ARG002
        return
        yield  # an empty generator

    async def close(self) -> None:
        """Nothing is held."""


def _write(lines: bytes) -> None:
    sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()
