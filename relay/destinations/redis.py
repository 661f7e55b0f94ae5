"""Redis Streams, one key a lane. A script compares the last generated id with the expected one before it adds anything.

Entry ids are `<generation>-<position>`. The generation is the time in milliseconds at which the first relay came; it stands beside
the owner and the last id in the hash `{KEY}:owner`. So every relay gives a message the same id, and what others did to the stream's
last id is seen even when the entries are gone.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, ClassVar, NamedTuple
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
from relay.destinations.redis_link import Link, Said
from relay.errors import DestinationRefused, DestinationUnavailable, ForeignWriter, TailLost
from relay.message import Message, attributes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

_SHAPE = "a stream is written redis://host:6379/0?stream=NAME"
_NAME = re.compile(r"^[A-Za-z0-9_.:-]{1,200}$")
_OPTIONS = frozenset({"stream", "lanes", "durability"})
_OPTIONS_OF_TLS = _OPTIONS | {"ca"}
_READ_BACK = 100  # entries a call
_LARGEST = 64 * 1024 * 1024
_OLDEST = (6, 2)
_NOTHING = "0-0"  # the last id of a stream to which nothing was added
_NOWHERE = "18446744073709551615-18446744073709551615"
# Refused before anything was added; in scripts the word stands somewhere in the middle of the answer.
_PASSING = re.compile(r"\b(READONLY|MISCONF|NOREPLICAS|MASTERDOWN|LOADING|BUSY|NOPERM|CLUSTERDOWN|MOVED)\b")
_OUT_OF_MEMORY = re.compile(r"\bOOM\b")
_GONE = "no such key"
# An error inside a script takes nothing back, so whatever can be wrong is looked at before the first entry is added.
_APPEND = """
local kind = redis.call('TYPE', KEYS[1]).ok
local mark = redis.call('HMGET', KEYS[2], 'owner', 'last')
if mark[1] ~= ARGV[2] then return {'moved', 'the stream belongs to another relay, or to none'} end
local last = '0-0'
if kind == 'stream' then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
elseif kind ~= 'none' then
  return {'moved', 'the key holds a ' .. kind}
elseif mark[2] then
  return {'moved', 'the stream is gone'}
end
if last ~= ARGV[1] then return {'moved', 'the stream ends with ' .. last} end
local function parts(id)
  local generation, position = string.match(id, '^(%d+)%-(%d+)$')
  return tonumber(generation), tonumber(position)
end
local generation, position = parts(last)
local at = 3
while at <= #ARGV do
  local g, p = parts(ARGV[at])
  local size = tonumber(ARGV[at + 1])
  if not g or not size or size < 2 or size % 2 == 1 or at + 1 + size > #ARGV
     or g < generation or (g == generation and p <= position) then
    return {'malformed', ARGV[at]}
  end
  generation, position, at = g, p, at + 2 + size
end
at = 3
while at <= #ARGV do
  local size = tonumber(ARGV[at + 1])
  last = redis.call('XADD', KEYS[1], ARGV[at], unpack(ARGV, at + 2, at + 1 + size))
  at = at + 2 + size
end
redis.call('HSET', KEYS[2], 'last', last)
return {'stored', last}
"""
_APPEND_SHA = hashlib.sha1(_APPEND.encode(), usedforsecurity=False).hexdigest()

# The stream was removed, and delivering begins anew: what was written down of the old one would refuse it for ever.
_FORGET = "if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HDEL', KEYS[2], 'last') end"


class _Lane(NamedTuple):
    """A lane's key and what its ids begin with."""

    key: str
    generation: int


class Redis(Destination):
    """`redis://host:port/DB?stream=NAME[&lanes=N][&durability=accepted]`; `rediss://…[&ca=FILE]` with TLS"""

    guarantee: ClassVar[Guarantee] = "A"

    def __init__(self, url: Url, credentials: str | None = None) -> None:
        super().__init__(url, credentials)
        self._connections: dict[int, Link] = {}
        self._lanes: dict[int, _Lane] = {}
        self._owner = ""

    @classmethod
    def parse(cls, url: str) -> Url:
        parts = urlsplit(url)
        if parts.username or parts.password:
            raise MalformedUrl(
                "credentials in a URL can be read by others: put them into a file, and give --credentials FILE"
            )
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        database = parts.path.removeprefix("/") or "0"
        named = parts.hostname and database.isdigit() and _NAME.match(options.get("stream", ""))
        known = _OPTIONS_OF_TLS if parts.scheme == "rediss" else _OPTIONS
        if not named or not options.keys() <= known or parts.fragment:
            raise MalformedUrl(_SHAPE)
        if options.get("durability", "accepted") != "accepted":
            raise MalformedUrl("the option durability has one value: durability=accepted")
        if not options.get("lanes", "1").isdigit():
            raise MalformedUrl("the option lanes is a number")
        try:
            port = parts.port or 6379
        except ValueError as error:
            raise MalformedUrl(_SHAPE) from error
        shown = f"{parts.scheme}://{parts.netloc}/{database}?{parts.query}"
        options |= {"database": database, "tls": "yes" if parts.scheme == "rediss" else ""}
        return Url(shown, "redis", options["stream"], host=str(parts.hostname), port=port, options=options)

    # -- opening

    async def open(self, owner: Owner, *, fresh: bool) -> Limits:
        self._owner = owner.mark
        try:
            largest = await self._check_server()
            for lane in range(owner.lanes):
                key = self.url.lane_name(lane, owner.lanes)
                self._lanes[lane] = _Lane(key, await self._marked(lane, key, owner, fresh=fresh))
                await self._probe(lane, key)
        except Said as error:
            raise DestinationRefused(f"Redis refuses: {error}", hint="see the rights that a relay needs") from error
        return Limits(message_bytes=largest, batch_messages=500)

    async def _check_server(self) -> int:
        """The size of the largest message that the server takes."""
        info = _parsed_info(await self._link(0).ask("INFO"))
        accepted = "durability" in self.url.options
        appendfsync = await self._setting("appendfsync")
        why = _why_unsafe(info, appendfsync, accepted=accepted)
        if why is not None:
            raise DestinationRefused(f"Redis at {self.url.host}:{self.url.port} {why[0]}", hint=why[1])
        if appendfsync == "everysec":
            self.notices.append(
                "Redis syncs its log once a second (appendfsync everysec): a crash of the machine may take acknowledged messages"
                " with it, and the relay then stops"
            )
        return min(_LARGEST, int(await self._setting("proto-max-bulk-len") or _LARGEST))

    async def _setting(self, name: str) -> str | None:
        """A setting of the server; None where it does not tell, as managed services do not."""
        try:
            answer = await self._link(0).ask("CONFIG", "GET", name)
        except Said:
            return None
        return answer[1].decode() if len(answer) == 2 else None

    async def _marked(self, lane: int, key: str, owner: Owner, *, fresh: bool) -> int:
        """The generation of a key's ids. The key gets its owner's mark: two outboxes, or two destinations of one, would block each
        other for ever."""
        found = await self._read_mark(lane, key)  # first: a first append in between must not look like a loss
        state = await self._state(lane, key)
        known = {"owner", "generation"} <= found.keys()
        if state is None and not fresh and (not known or "last" in found):
            raise TailLost(
                f"stream {key} is gone, though messages were delivered to it",
                hint="restore it, or use another --name",
            )
        if not known:
            found = await self._mark(lane, key, state, owner)
        if found["owner"] != owner.mark:
            raise ForeignWriter(
                f"stream {key} belongs to another relay", hint=f"its owner is {found['owner']}; use another stream"
            )
        if state is None:
            await self._link(lane).ask("EVAL", _FORGET, 2, key, _mark_of(key))
        await self._refuse_expiry(lane, key)
        return int(found["generation"])

    async def _mark(self, lane: int, key: str, state: _State | None, owner: Owner) -> dict[str, str]:
        """Write the mark, unless another relay is quicker."""
        seconds, micros = await self._link(lane).ask("TIME")
        generation = int(seconds) * 1000 + int(micros) // 1000
        if state is not None and state.last != _NOTHING:
            generation = _parts(_entry_tail(key, state).token)[0]  # raises unless the last entry is a relay's
        for field, value in (("generation", generation), ("owner", owner.mark)):
            await self._link(lane).ask("HSETNX", _mark_of(key), field, value)
        return await self._read_mark(lane, key)

    async def _refuse_expiry(self, lane: int, key: str) -> None:
        for name in (key, _mark_of(key)):
            if await self._link(lane).ask("TTL", name) >= 0:
                raise DestinationRefused(f"the key {name} expires", hint=f"run: redis-cli persist {name}")

    async def _read_mark(self, lane: int, key: str) -> dict[str, str]:
        flat = [one.decode() for one in await self._link(lane).ask("HGETALL", _mark_of(key))]
        return dict(zip(flat[::2], flat[1::2], strict=True))

    async def _probe(self, lane: int, key: str) -> None:
        """The guard must be seen to work, and the account to be allowed to run it."""
        status, _ = await self._run(lane, key, _NOWHERE, ["1-1", 2, "probe", "1"])
        if status != "moved":
            raise DestinationRefused(f"stream {key} took an entry that it had to refuse", hint="upgrade the server")

    # -- the lane

    async def tail(self, lane: int, known: Tail | None) -> Tail | None:
        try:
            return await self._tail(lane, known)
        except Said as error:
            raise DestinationUnavailable(f"Redis answered: {error}") from error

    async def _tail(self, lane: int, known: Tail | None) -> Tail | None:
        key, generation = self._lanes[lane]
        state = await self._state(lane, key)
        if state is None or state.last == _NOTHING:
            return None
        if _parts(state.last)[0] != generation:
            raise ForeignWriter(
                f"the last id of stream {key}, {state.last}, was not given by this relay",
                hint="give the relay a stream of its own",
            )
        if state.entry_id != state.last:
            return await self._tail_by_number(lane, key, state.last, known)
        tail = _entry_tail(key, state)
        if tail.position != _parts(state.last)[1]:
            raise ForeignWriter(
                f"entry {state.last} of stream {key} holds position {tail.position}",
                hint="give the relay a stream of its own",
            )
        return tail

    async def _tail_by_number(self, lane: int, key: str, last: str, known: Tail | None) -> Tail | None:
        """The last entry was trimmed or deleted. Its number counts if it is the one that the script wrote down with it."""
        if known is not None and known.token == last:
            return known
        written = (await self._read_mark(lane, key)).get("last")
        if written == last:
            return Tail(_parts(last)[1], None, None, token=last)
        state = await self._state(lane, key)
        if state is not None and state.last != last:
            return await self._tail(lane, known)  # an append came in between
        raise TailLost(
            f"the last id of stream {key} is {last}, an append wrote {written or _NOTHING}, and the entry is gone",
            hint="look for what moved it (XSETID, XADD); use another stream, or another --name",
        )

    async def append(self, lane: int, batch: Sequence[Message], expected: Tail | None) -> Outcome:
        key, generation = self._lanes[lane]
        entries: list[str | int] = []
        for message in batch:
            fields = _fields(message)
            entries += (f"{generation}-{message.position}", len(fields), *fields)
        try:
            status, said = await self._run(lane, key, expected.token if expected else _NOTHING, entries)
        except Said as error:
            return _refusal(str(error), alone=len(batch) == 1)
        except DestinationUnavailable as error:
            return InDoubt(str(error))
        if status == "moved":
            return Refused("moved", said)
        if status != "stored" or said != f"{generation}-{batch[-1].position}":
            return InDoubt(f"Redis answered {status} {said}")
        return Stored(token=said)

    async def _run(self, lane: int, key: str, expected: str, entries: Sequence[str | int]) -> tuple[str, str]:
        """Run the script; what it answers."""
        link = self._link(lane)
        arguments = (2, key, _mark_of(key), expected, self._owner, *entries)
        try:
            answer = await link.ask("EVALSHA", _APPEND_SHA, *arguments)
        except Said as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
            answer = await link.ask("EVAL", _APPEND, *arguments)
        return answer[0].decode(), answer[1].decode()

    async def read_back(self, lane: int, after: Tail | None, upto: Tail) -> AsyncIterator[tuple[int, str]]:
        key = self._lanes[lane].key
        last = after.token if after else _NOTHING
        while True:
            try:
                found = await self._link(lane).ask("XRANGE", key, f"({last}", upto.token, "COUNT", _READ_BACK)
            except Said as error:
                raise DestinationUnavailable(f"Redis answered: {error}") from error
            for raw_id, fields in found:
                last = raw_id.decode()
                tail = _tail_of(key, last, fields)
                yield tail.position, str(tail.message_id)
            if len(found) < _READ_BACK:
                return

    async def close(self) -> None:
        for link in self._connections.values():
            await link.close()

    # -- the server

    def _link(self, lane: int) -> Link:
        """A lane's own connection: lanes never wait for each other."""
        if lane not in self._connections:
            self._connections[lane] = Link(self.url, self.credentials)
        return self._connections[lane]

    async def _state(self, lane: int, key: str) -> _State | None:
        """A stream's last id and last entry, at one moment; None when there is no such key."""
        try:
            answer = await self._link(lane).ask("XINFO", "STREAM", key)
        except Said as error:
            if _GONE in str(error):
                return None
            if str(error).startswith("WRONGTYPE"):
                raise ForeignWriter(f"the key {key} is no stream", hint="give the relay a stream of its own") from error
            raise
        found = {name.decode(): value for name, value in zip(answer[::2], answer[1::2], strict=True)}
        entry = found["last-entry"]
        last = found["last-generated-id"].decode()
        return _State(last, entry[0].decode(), entry[1]) if entry else _State(last, None, [])


class _State(NamedTuple):
    last: str
    entry_id: str | None
    fields: Sequence[bytes]


def _parsed_info(raw: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in raw.decode().splitlines() if ":" in line)
    return {name: value for name, _, value in pairs}


def _why_unsafe(info: Mapping[str, str], appendfsync: str | None, *, accepted: bool) -> tuple[str, str] | None:
    """What in a server's settings would break the guarantee, and what to do; None when nothing does."""
    version = info.get("redis_version", "0")
    policy = info.get("maxmemory_policy", "")
    accept = "or, if what a crash takes away may be lost, add durability=accepted to the URL"
    checks = [
        (_version(version) < _OLDEST, f"is version {version}", "use Redis 6.2 or later"),
        (info.get("cluster_enabled") == "1", "is a cluster", "use a server, or a primary with replicas"),
        (info.get("role") != "master", "is a replica", "give the address of the primary"),
        (
            policy.startswith("allkeys-"),
            f"may evict the stream (maxmemory-policy {policy})",
            "set maxmemory-policy noeviction, or a volatile one",
        ),
        (
            info.get("aof_enabled") != "1" and not accepted,
            "forgets what it acknowledged when it restarts (appendonly no)",
            f"set appendonly yes; {accept}",
        ),
        (
            appendfsync == "no" and not accepted,
            "leaves the syncing of its log to the system (appendfsync no)",
            f"set appendfsync always, or everysec; {accept}",
        ),
    ]
    return next(((why, hint) for bad, why, hint in checks if bad), None)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


def _mark_of(key: str) -> str:
    """In a cluster this is where the stream is, too."""
    return f"{{{key}}}:owner"


def _parts(entry_id: str) -> tuple[int, int]:
    generation, _, position = entry_id.partition("-")
    return int(generation), int(position)


def _entry_tail(key: str, state: _State) -> Tail:
    if state.entry_id != state.last:
        raise TailLost(
            f"the last entry of stream {key} is gone, and nothing says whose it was",
            hint="use another stream, or another --name",
        )
    return _tail_of(key, state.last, state.fields)


def _tail_of(key: str, entry_id: str, fields: Sequence[bytes]) -> Tail:
    found = dict(zip(fields[::2], fields[1::2], strict=True))
    try:
        return Tail(int(found[b"position"]), found[b"id"].decode(), found[b"lineage"].decode(), token=entry_id)
    except (KeyError, ValueError) as error:
        raise ForeignWriter(
            f"entry {entry_id} of stream {key} was not written by a relay", hint="give the relay a stream of its own"
        ) from error


def _fields(message: Message) -> list[str]:
    """Names and values in turn: the attributes of CloudEvents, the topic, the publisher's headers as JSON, and the data."""
    values = attributes(message)
    values["topic"] = message.topic
    if message.headers != "{}":
        values["headers"] = message.headers
    if message.data is not None:
        values["datacontenttype"] = "application/json"
        values["data"] = message.data
    return [part for pair in values.items() for part in pair]


def _refusal(said: str, *, alone: bool) -> Outcome:
    if _OUT_OF_MEMORY.search(said):
        return Refused("busy" if alone else "batch", said)
    if _PASSING.search(said):
        return Refused("busy", said)
    return InDoubt(f"Redis answered: {said}")
