"""NATS JetStream, one stream a lane. The server refuses an append whose expected last sequence is not the stream's.

Batches are atomic where the stream allows it (nats-server 2.12). The message-id window of JetStream is not used: after a purge it
acknowledges a message that it does not store. Error codes are those of nats-server's errors.json.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from relay.destinations.base import (
    Destination,
    Guarantee,
    InDoubt,
    Limits,
    MalformedUrl,
    Outcome,
    Owner,
    Refused,
    Stored,
    Tail,
    Url,
)
from relay.destinations.jetstream import ApiError, JetStream
from relay.errors import DestinationRefused, DestinationUnavailable, ForeignWriter, TailLost
from relay.message import Message, attributes, body, header_value, user_headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

_SHAPE = "a stream is written nats://host:4222/STREAM"
_STREAM = re.compile(r"^[A-Za-z0-9_-]{1,200}$")
_OPTIONS = frozenset({"lanes", "replicas", "limits"})
_ESCAPED = str.maketrans({char: f"%{ord(char):02X}" for char in " .*>%"})
_OWNER = "relay-owner"
_NOWHERE = str(2**53)  # an expected sequence that no stream has
_READ_BACK = 128  # requests in flight
_SINGLES = 8  # an atomic batch costs the server a file of its own: as much as so many single messages
_HEADROOM = 4096  # what our own headers add to a message, at most, beside key, topic and type
_LEAST_PAYLOAD = 64 * 1024 + 4 * _HEADROOM

_NOT_FOUND = 10059
_NO_MESSAGE = 10037
_WRONG_LAST_SEQUENCE = 10071
_TOO_LARGE = 10054
_BATCH_REFUSED = frozenset({10174, 10175, 10176, 10199})

_log = logging.getLogger("relay.nats")


@dataclass(frozen=True, slots=True)
class _Stream:
    """What matters of a stream's configuration and state."""

    name: str
    last: int
    atomic: bool
    fixed_tail: bool
    largest: int

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> _Stream:
        config = info["config"]
        return cls(
            name=config["name"],
            last=info["state"]["last_seq"],
            atomic=bool(config.get("allow_atomic")),
            fixed_tail=bool(config.get("deny_purge")),
            largest=config.get("max_msg_size", -1),
        )


class Nats(Destination):
    """`nats://host:port/STREAM[?lanes=N][&replicas=N][&limits=accepted]`"""

    guarantee: ClassVar[Guarantee] = "A"

    def __init__(self, url: Url, credentials: str | None = None) -> None:
        super().__init__(url, credentials)
        self._server = JetStream(url.host, url.port, credentials)
        self._streams: dict[int, _Stream] = {}
        self._payload = 0

    @classmethod
    def parse(cls, url: str) -> Url:
        parts = urlsplit(url)
        if parts.username or parts.password:
            raise MalformedUrl(
                "credentials in a URL can be read by others: put them into a file, and give --credentials FILE"
            )
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        stream = parts.path.removeprefix("/")
        if not parts.hostname or not _STREAM.match(stream) or not options.keys() <= _OPTIONS or parts.fragment:
            raise MalformedUrl(_SHAPE)
        if options.get("limits", "accepted") != "accepted":
            raise MalformedUrl("the option limits has one value: limits=accepted")
        if not all(options.get(name, "1").isdigit() for name in ("lanes", "replicas")):
            raise MalformedUrl("the options lanes and replicas are numbers")
        try:
            port = parts.port or 4222
        except ValueError as error:
            raise MalformedUrl(_SHAPE) from error
        shown = f"nats://{parts.netloc}/{stream}" + (f"?{parts.query}" if parts.query else "")
        return Url(shown, "nats", target=stream, host=parts.hostname, port=port, options=options)

    # -- opening

    async def open(self, owner: Owner, *, fresh: bool) -> Limits:
        self._payload = await self._server.connect()
        if self._payload < _LEAST_PAYLOAD:
            raise DestinationRefused(
                f"the server takes messages of {self._payload} bytes only",
                hint=f"set max_payload to {_LEAST_PAYLOAD} or more",
            )
        for lane in range(owner.lanes):
            name = self.url.lane_name(lane, owner.lanes)
            self._streams[lane] = await self._open_stream(name, owner, fresh=fresh)
            await self._probe(self._streams[lane])
        sizes = [s.largest for s in self._streams.values() if s.largest > 0]
        return Limits(
            message_bytes=min([self._payload, *sizes]) - 3 * _HEADROOM,
            batch_messages=1000 if all(s.atomic for s in self._streams.values()) else 1,
            singles=_SINGLES,
        )

    async def _open_stream(self, name: str, owner: Owner, *, fresh: bool) -> _Stream:
        try:
            info = await self._server.api(f"STREAM.INFO.{name}")
        except ApiError as error:
            if error.code != _NOT_FOUND:
                raise _unavailable(error) from error
            if not fresh:
                raise TailLost(
                    f"stream {name} is gone, though messages were delivered to it",
                    hint="restore it, or use another --name",
                ) from error
            info = await self._create(name, owner)
        why = _why_unsafe(info, accept_limits="limits" in self.url.options)
        if why is not None:
            raise DestinationRefused(f"stream {name} {why[0]}", hint=why[1])
        return _Stream.of(await self._marked(info, owner))

    async def _create(self, name: str, owner: Owner) -> Mapping[str, Any]:
        config = {
            "name": name,
            "subjects": [f"{name}.>"],
            "storage": "file",
            "retention": "limits",
            "discard": "new",
            "num_replicas": int(self.url.options.get("replicas", "1")),
            "allow_direct": True,
            "allow_atomic": True,
            "deny_delete": True,
            "deny_purge": True,
            "metadata": {_OWNER: owner.mark},
        }
        try:
            info = await self._server.api(f"STREAM.CREATE.{name}", config)
        except ApiError as error:
            hint = "see what this user may do, and what the server has room for"
            raise DestinationRefused(f"stream {name} cannot be created: {error}", hint=hint) from error
        _log.info("created stream %s", name)
        return info

    async def _marked(self, info: Mapping[str, Any], owner: Owner) -> Mapping[str, Any]:
        """The stream carries its owner's mark: two outboxes, or two destinations of one, would block each other for ever."""
        config = info["config"]
        metadata = config.get("metadata") or {}
        found = metadata.get(_OWNER)
        if found == owner.mark:
            return info
        if found is not None:
            raise ForeignWriter(
                f"stream {config['name']} belongs to another relay", hint=f"its owner is {found}; use another stream"
            )
        if info["state"]["last_seq"] > 0:
            await self._tail_of(_Stream.of(info), known=None)  # raises unless the last message is a relay's
        wanted = {**config, "metadata": {**metadata, _OWNER: owner.mark}, "allow_atomic": True}
        try:
            return await self._server.api(f"STREAM.UPDATE.{config['name']}", wanted)
        except (ApiError, DestinationUnavailable) as error:
            self.notices.append(f"stream {config['name']} could not be marked as ours: {error}")
            return info

    async def _probe(self, stream: _Stream) -> None:
        """The guard must be seen to work: some servers have had it broken."""
        expectation = {"Nats-Expected-Last-Sequence": _NOWHERE, "Nats-Expected-Stream": stream.name}
        batch_id = secrets.token_hex(16)
        trials: list[list[dict[str, str]]] = [[expectation]]
        if stream.atomic:
            first = {**expectation, "Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": "1"}
            trials.append([first, {"Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": "2", "Nats-Batch-Commit": "1"}])
        for headers in trials:
            subject = f"{stream.name}.relay-probe"
            for one in headers[:-1]:
                await self._server.publish(subject, b"", one)
            try:
                await self._server.request(subject, b"", headers[-1])
            except ApiError as error:
                if error.code == _WRONG_LAST_SEQUENCE:
                    continue
                hint = "see the stream's settings, and what this user may publish"
                raise DestinationRefused(f"stream {stream.name} refuses appends: {error}", hint=hint) from error
            raise DestinationRefused(
                f"stream {stream.name} stored a message that it had to refuse", hint="upgrade the NATS server"
            )

    # -- the lane

    async def tail(self, lane: int, known: Tail | None) -> Tail | None:
        await self._server.connect()
        name = self._streams[lane].name
        try:
            info = await self._server.api(f"STREAM.INFO.{name}")
        except ApiError as error:
            if error.code == _NOT_FOUND:
                raise TailLost(f"stream {name} is gone", hint="restore it, or use another --name") from error
            raise _unavailable(error) from error
        self._streams[lane] = _Stream.of(info)
        return await self._tail_of(self._streams[lane], known)

    async def _tail_of(self, stream: _Stream, known: Tail | None) -> Tail | None:
        if stream.last == 0:
            return None
        headers = await self._headers_of(stream.name, stream.last)
        if headers is None:
            return _tail_by_number(stream, known)
        return _tail_of_headers(stream.name, stream.last, headers)

    async def append(self, lane: int, batch: Sequence[Message], expected: Tail | None) -> Outcome:
        stream = self._streams[lane]
        largest = min(self._payload, stream.largest if stream.largest > 0 else self._payload)
        last = int(expected.token) if expected else 0
        try:
            encoded = [(_subject(stream.name, m), body(m), _headers(m)) for m in batch]
            if any(_size(payload, headers) > largest for _, payload, headers in encoded):
                why = f"a message is larger than the {largest} bytes that the server takes"
                return Refused("message" if len(batch) == 1 else "batch", why)
            ack = await self._send(stream.name, encoded, last)
        except ApiError as error:
            return _refusal(error, alone=len(batch) == 1)
        except DestinationUnavailable as error:
            return InDoubt(str(error))
        if ack.get("seq") != last + len(batch) or ack.get("stream") != stream.name:
            return InDoubt(f"the server acknowledged sequence {ack.get('seq')} of stream {ack.get('stream')}")
        return Stored(token=str(ack["seq"]))

    async def _send(
        self, stream: str, encoded: Sequence[tuple[str, bytes, dict[str, str]]], last: int
    ) -> Mapping[str, Any]:
        """One conditional append: a single message, or an atomic batch whose commit is what is answered."""
        encoded[0][2]["Nats-Expected-Last-Sequence"] = str(last)
        encoded[0][2]["Nats-Expected-Stream"] = stream
        if len(encoded) > 1:
            batch_id = secrets.token_hex(16)
            for number, (_, _, headers) in enumerate(encoded, 1):
                headers["Nats-Batch-Id"] = batch_id
                headers["Nats-Batch-Sequence"] = str(number)
            encoded[-1][2]["Nats-Batch-Commit"] = "1"
            for subject, payload, headers in encoded[:-1]:
                await self._server.publish(subject, payload, headers)
        return await self._server.request(*encoded[-1])

    async def read_back(self, lane: int, after: Tail | None, upto: Tail) -> AsyncIterator[tuple[int, str]]:
        name = self._streams[lane].name
        first, last = int(after.token) + 1 if after else 1, int(upto.token)
        for start in range(first, last + 1, _READ_BACK):
            numbers = range(start, min(start + _READ_BACK, last + 1))
            found = await asyncio.gather(*(self._headers_of(name, number) for number in numbers))
            for number, headers in zip(numbers, found, strict=True):
                if headers is not None:
                    tail = _tail_of_headers(name, number, headers)
                    yield tail.position, str(tail.message_id)

    async def close(self) -> None:
        await self._server.close()

    async def _headers_of(self, stream: str, number: int) -> Mapping[str, str] | None:
        """Headers of a stored message as the stream's leader has it; None when it is gone."""
        try:
            answer = await self._server.api(f"STREAM.MSG.GET.{stream}", {"seq": number})
        except ApiError as error:
            if error.code == _NO_MESSAGE:
                return None
            raise _unavailable(error) from error
        return _parsed_headers(base64.b64decode(answer["message"].get("hdrs", "")))


def _unavailable(error: ApiError) -> DestinationUnavailable:
    return DestinationUnavailable(
        f"JetStream answered: {error}", hint="check that JetStream is enabled for this account"
    )


def _why_unsafe(info: Mapping[str, Any], *, accept_limits: bool) -> tuple[str, str] | None:
    """What in a stream's settings would break the guarantee, and what to do; None when nothing does."""
    config = info["config"]
    name = config["name"]
    limits = any(config.get(limit, -1) > 0 for limit in ("max_msgs", "max_bytes", "max_age"))
    checks = [
        (config.get("storage") != "file", "keeps its messages in memory", "use a stream with file storage"),
        (config.get("no_ack"), "does not acknowledge messages (no_ack)", "switch no_ack off"),
        (
            config.get("persist_mode") == "async",
            "acknowledges before it has stored (persist_mode async)",
            "use persist_mode default",
        ),
        (config.get("mirror") or config.get("sources"), "mirrors other streams", "use a stream of its own"),
        (config.get("sealed"), "is sealed", "use another stream"),
        (config.get("subject_transform"), "changes subjects", "remove the subject transform"),
        (
            config.get("max_msgs_per_subject", -1) > 0,
            "drops messages by subject (max_msgs_per_subject)",
            "remove that limit",
        ),
        (config.get("discard_new_per_subject"), "refuses messages by subject", "switch discard_new_per_subject off"),
        (
            limits and config.get("discard", "old") == "old" and not accept_limits,
            "drops old messages (max_msgs, max_bytes or max_age with discard old)",
            "remove the limits; or, if consumers are known to read in time, add limits=accepted to the URL",
        ),
        (
            config.get("retention") == "interest" and not info["state"].get("consumer_count"),
            "acknowledges messages and keeps none: it has interest retention and no consumer",
            "make a consumer first, or use limits retention",
        ),
        (
            0 < config.get("max_msg_size", -1) < _LEAST_PAYLOAD,
            "takes small messages only",
            f"set max_msg_size to {_LEAST_PAYLOAD} or more",
        ),
        (
            not {f"{name}.>", f"{name}.*"} & set(config.get("subjects") or ()),
            f"does not take the subjects {name}.>",
            "add that subject",
        ),
    ]
    return next(((why, hint) for bad, why, hint in checks if bad), None)


def _tail_by_number(stream: _Stream, known: Tail | None) -> Tail:
    """The last message was consumed or aged out. Its number may be trusted only where nothing but an append moves it."""
    if known is None or not stream.fixed_tail:
        raise TailLost(
            f"the last message of stream {stream.name} is gone, and the stream may be purged, so its number proves nothing",
            hint="set deny_purge on the stream, or use another --name",
        )
    moved = stream.last - int(known.token)
    if moved == 0:
        return known
    return Tail(known.position + moved, None, None, token=str(stream.last))


def _tail_of_headers(stream: str, number: int, headers: Mapping[str, str]) -> Tail:
    try:
        return Tail(int(headers["ce-position"]), headers["ce-id"], headers["ce-lineage"], token=str(number))
    except (KeyError, ValueError) as error:
        raise ForeignWriter(
            f"message {number} of stream {stream} was not written by a relay", hint="give the relay a stream of its own"
        ) from error


def _parsed_headers(raw: bytes) -> dict[str, str]:
    lines = raw.decode("utf-8", "replace").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _subject(stream: str, message: Message) -> str:
    return f"{stream}.{message.topic.translate(_ESCAPED)}"


def _headers(message: Message) -> dict[str, str]:
    headers = user_headers(message)
    for name, value in attributes(message).items():
        headers[f"ce-{name}"] = header_value(value)
    return headers


def _size(payload: bytes, headers: Mapping[str, str]) -> int:
    """What counts against the server's limit, with room for the headers of a conditional batch."""
    return len(payload) + 512 + sum(len(name) + 4 + len(value.encode()) for name, value in headers.items())


def _refusal(error: ApiError, *, alone: bool) -> Outcome:
    if error.code == _WRONG_LAST_SEQUENCE:
        return Refused("moved", str(error))
    if error.code == _TOO_LARGE:
        return Refused("message" if alone else "batch", str(error))
    if error.code in _BATCH_REFUSED and not alone:
        return Refused("batch", str(error))
    return Refused("busy", str(error))
