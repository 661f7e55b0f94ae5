"""What the broker really holds: read back message by message, by a client of its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nats
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

_BATCH = 500


@dataclass(frozen=True)
class Delivered:
    """One message as it stands in the stream."""

    sequence: int
    message_id: str
    key: str
    topic: str
    data: bytes


def stored(url: str, stream: str) -> int:
    """How many messages a stream holds; 0 when it is not there yet."""
    return asyncio.run(_stored(url, stream))


def read_stream(url: str, stream: str) -> list[Delivered]:
    """Every message of a stream, in its order."""
    return asyncio.run(_read(url, stream))


def repeats(messages: Sequence[Delivered]) -> int:
    """How many messages stand in the stream more than once, counted as often as they are too many."""
    return sum(times - 1 for times in Counter(message.message_id for message in messages).values())


def by_key(messages: Sequence[Delivered]) -> Mapping[str, list[Delivered]]:
    """The messages of each key, in the order of the stream."""
    keys: dict[str, list[Delivered]] = {}
    for message in messages:
        keys.setdefault(message.key, []).append(message)
    return keys


async def _stored(url: str, stream: str) -> int:
    client = await nats.connect(url)
    try:
        info = await client.jetstream().stream_info(stream)
    except NotFoundError:
        return 0
    finally:
        await client.close()
    return int(info.state.messages)


async def _read(url: str, stream: str) -> list[Delivered]:
    client = await nats.connect(url)
    try:
        context = client.jetstream()
        total = (await context.stream_info(stream)).state.messages
        subscription = await context.pull_subscribe("", stream=stream, config=ConsumerConfig(ack_policy=AckPolicy.NONE))
        found: list[Delivered] = []
        while len(found) < total:
            found += [_delivered(message) for message in await subscription.fetch(_BATCH, timeout=5)]
        return found
    finally:
        await client.close()


def _delivered(message: Msg) -> Delivered:
    headers = message.headers or {}
    return Delivered(
        sequence=message.metadata.sequence.stream,
        message_id=headers.get("ce-id", ""),
        key=headers.get("ce-subject", ""),
        topic=headers.get("ce-type", ""),
        data=message.data,
    )
