"""The relay to each destination beside the same client that delivers the same messages, with the same guarantee, from memory.

`RELAY_BACKLOGS=1000,1000000` chooses other backlogs (10,000,000 needs 10 GB and half an hour), `RELAY_BATCHES` other batch sizes,
`RELAY_DESTINATIONS=redis` some of nats, redis, postgresql. Redis needs redis-server; without it, it is left out.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks.measure import Ratio
from journal.embedded import start_nats
from journal.migrate import migrate
from relay.destinations import destination_class
from relay.destinations.base import Limits, Owner, Stored, Tail, read_credentials
from relay.run import Options, Relay
from relay.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.synchronize import Barrier

    from journal.embedded import PostgresServer
    from relay.destinations.base import Destination, Outcome
    from relay.message import Message

BACKLOGS = tuple(int(n) for n in os.environ.get("RELAY_BACKLOGS", "1000,10000,100000").split(","))
DESTINATIONS = tuple(os.environ.get("RELAY_DESTINATIONS", "nats,redis,postgresql").split(","))
BATCHES = tuple(int(n) for n in os.environ.get("RELAY_BATCHES", "100,1000").split(","))
RATES = (300, 1000)
ROUNDS = 3
SECONDS = 6
_TRANSACTION = 500


@dataclass(frozen=True)
class Place:
    """A destination, and the files of credentials that it needs. `at` makes the URL of a new stream or table of so many lanes."""

    name: str
    at: Callable[[str], str]
    credentials: str | None = None

    def fresh(self, lanes: int = 1) -> str:
        url = self.at(f"B{time.monotonic_ns()}")
        return url + (f"{'&' if '?' in url else '?'}lanes={lanes}" if lanes > 1 else "")


def run(server: PostgresServer) -> list[Ratio]:
    found: list[Ratio] = []
    for kind in DESTINATIONS:
        with _PLACES[kind](server) as place:
            if place is not None:
                found += _measure(server, place)
    return found


def _measure(server: PostgresServer, place: Place) -> list[Ratio]:
    found: list[Ratio] = []
    for backlog in BACKLOGS:
        with _database(server) as dsn:
            _publish(dsn, backlog)
            found += [_throughput(dsn, place, backlog, batch) for batch in BATCHES]
            if backlog == max(BACKLOGS) and place.name == "JetStream":
                found += [_several(dsn, place, backlog, relays) for relays in (2, 4)]
    for rate in RATES:
        with _database(server) as dsn:
            found += _latency(dsn, place, rate)
    return found


@contextmanager
def _nats(_: PostgresServer) -> Iterator[Place]:
    with start_nats() as nats:
        yield Place("JetStream", lambda name: f"{nats.url}/{name}")


@contextmanager
def _redis(_: PostgresServer) -> Iterator[Place | None]:
    if shutil.which("redis-server") is None:
        print("redis-server is not installed: Redis is left out", file=sys.stderr)
        yield None
        return
    from tests.redis_server import start_redis  # noqa: PLC0415  it needs pytest

    with start_redis() as redis:
        yield Place("Redis", lambda name: f"{redis.url}?stream={name}")


@contextmanager
def _postgres(server: PostgresServer) -> Iterator[Place]:
    """Another database of the same server."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin, tempfile.NamedTemporaryFile("w") as file:
        admin.execute("drop database if exists relay_bench_target with (force)")
        admin.execute("create database relay_bench_target")
        parts = urlsplit(server.dsn("relay_bench_target"))
        Path(file.name).write_text(f"{parts.username}:{parts.password}", encoding="utf-8")
        where = f"postgresql://{parts.hostname}:{parts.port}{parts.path}"
        yield Place("Postgres", lambda name: f"{where}?table={name.lower()}", file.name)
        admin.execute("drop database relay_bench_target with (force)")


_PLACES: dict[str, Callable[[PostgresServer], Any]] = {"nats": _nats, "redis": _redis, "postgresql": _postgres}


@contextmanager
def _database(server: PostgresServer) -> Iterator[str]:
    name = "relay_bench"
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(f"drop database if exists {name} with (force)")
        admin.execute(f"create database {name}")
        migrate(server.dsn(name))
        yield server.dsn(name)
        admin.execute(f"drop database {name} with (force)")


def _publish(dsn: str, messages: int) -> None:
    """A backlog of transactions, sealed as relays of other destinations would have done it."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        for start in range(0, messages, _TRANSACTION):
            conn.execute(
                "select count(outbox.publish('orders.made', 'k' || i % 100, jsonb_build_object('n', i, 'pad', repeat('x', 200))))"
                " from generate_series(%s::int, %s::int) as i".replace(" % ", " %% "),
                [start + 1, min(start + _TRANSACTION, messages)],
            )
            conn.execute("select outbox.seal()")
        conn.execute("vacuum analyze outbox.message")


# -- throughput


def _throughput(dsn: str, place: Place, messages: int, batch: int) -> Ratio:
    held = asyncio.run(_in_memory(dsn, messages))
    memory, ours = [], []
    for _ in range(ROUNDS):
        memory.append(messages / asyncio.run(_from_memory(place, held, batch)))
        ours.append(messages / asyncio.run(_by_relay(dsn, place, batch)))
    ratio = statistics.median(one / other for one, other in zip(ours, memory, strict=True))
    baseline = statistics.median(memory)
    what = f"relay to {place.name}, {messages:,} unread, batches of {batch:,}"
    return Ratio(what, ratio * baseline, baseline, "msg/s", bar=0.75, more_is_better=True, baseline_name="from memory")


async def _in_memory(dsn: str, messages: int) -> list[Message]:
    source = Source(dsn, "memory")
    await source.connect()
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("select relay.register('memory', 'stdout:', 'D', 1000000)")
    held: list[Message] = []
    seal = 0
    while len(held) < messages:
        span = await source.next(0, seal, len(held), None, and_seal=False)
        assert span is not None
        held += span.messages
        seal = span.through
    await source.close()
    return held


async def _from_memory(place: Place, held: list[Message], batch: int) -> float:
    destination = _stream(place)
    limits = await destination.open(Owner("bench", "memory"), fresh=True)
    await destination.tail(0, None)
    batch = min(batch, limits.batch_messages)
    tail: Tail | None = None
    began = time.perf_counter()
    for start in range(0, len(held), batch):
        part = held[start : start + batch]
        outcome = await destination.append(0, part, tail)
        assert isinstance(outcome, Stored), outcome
        tail = Tail(part[-1].position, part[-1].message_id, None, outcome.token)
    seconds = time.perf_counter() - began
    await destination.close()
    return seconds


def _stream(place: Place) -> Destination:
    url = place.fresh()
    found = destination_class(url)
    return found(found.parse(url), place.credentials)


def _watched(found: type[Destination], batch: int, seen: list[float]) -> type[Destination]:
    """The same destination with batches of at most so many. Notes when the lane has looked at the stream, and each append's end."""

    async def open_(self: Destination, owner: Owner, *, fresh: bool) -> Limits:
        limits = await found.open(self, owner, fresh=fresh)
        return replace(limits, batch_messages=min(batch, limits.batch_messages))

    async def tail(self: Destination, lane: int, known: Tail | None) -> Tail | None:
        place = await found.tail(self, lane, known)
        seen.append(time.perf_counter())
        return place

    async def append(self: Destination, lane: int, messages: list[Message], expected: Tail | None) -> Outcome:
        outcome = await found.append(self, lane, messages, expected)
        seen.append(time.perf_counter())
        return outcome

    return type(found.__name__, (found,), {"open": open_, "tail": tail, "append": append})


async def _by_relay(dsn: str, place: Place, batch: int) -> float:
    """From the first read to the last acknowledgement: starting and the look at the stream are left out, as of the baseline."""
    relay = Relay(_options(dsn, place, place.fresh(), drain=True), lambda _: None)
    seen: list[float] = []
    relay._class = _watched(relay._class, batch, seen)  # noqa: SLF001
    await relay.run()
    return seen[-1] - seen[0]


def _options(dsn: str, place: Place, url: str, *, drain: bool) -> Options:
    return Options(dsn=dsn, url=url, credentials=place.credentials, drain=drain)


def _several(dsn: str, place: Place, messages: int, relays: int) -> Ratio:
    """As many relays, processes of their own, as lanes, beside one."""
    one, many = [], []
    for _ in range(ROUNDS):
        one.append(messages / _drained(dsn, place.fresh(), 1))
        many.append(messages / _drained(dsn, place.fresh(relays), relays))
    what = f"{relays} relays on {relays} lanes, {messages:,} unread"
    name = "one relay"
    return Ratio(
        what, statistics.median(many), statistics.median(one), "msg/s", more_is_better=True, baseline_name=name
    )


def _drained(dsn: str, url: str, relays: int) -> float:
    context = multiprocessing.get_context("spawn")
    started = context.Barrier(relays + 1)
    workers = [context.Process(target=_drain, args=(dsn, url, started)) for _ in range(relays)]
    for worker in workers:
        worker.start()
    started.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    return time.perf_counter() - began


def _drain(dsn: str, url: str, started: Barrier) -> None:
    started.wait()
    asyncio.run(Relay(Options(dsn=dsn, url=url, drain=True), lambda _: None).run())


# -- latency


def _latency(dsn: str, place: Place, rate: int) -> list[Ratio]:
    """Milliseconds from the commit of a message to its consumer, beside the bars."""
    taken = sorted(asyncio.run(_measured(dsn, place, rate)))
    p50, p99 = taken[len(taken) // 2] * 1e3, taken[len(taken) * 99 // 100] * 1e3
    what = f"commit to a consumer of {place.name} at {rate}/s"
    return [
        Ratio(f"{what}, p50", p50, 5.0, "ms", bar=1.0, baseline_name="the bar"),
        Ratio(f"{what}, p99", p99, 15.0, "ms", bar=1.0, baseline_name="the bar"),
    ]


async def _measured(dsn: str, place: Place, rate: int) -> list[float]:
    url = place.fresh()
    options = _options(dsn, place, url, drain=False)
    process = multiprocessing.get_context("spawn").Process(target=_run_relay, args=(options,), daemon=True)
    process.start()
    committed: dict[str, float] = {}
    arrived: dict[str, float] = {}
    await asyncio.to_thread(_wait_for_relay, dsn)
    listener = asyncio.create_task(_LISTENERS[place.name](place, url, arrived))
    writer = threading.Thread(target=_write, args=(dsn, rate, committed))
    writer.start()
    await asyncio.to_thread(writer.join)
    await asyncio.sleep(1)
    listener.cancel()
    await asyncio.wait({listener})
    process.kill()
    process.join()
    known = list(committed)[rate:]  # the first second warms up
    return [arrived[one] - committed[one] for one in known]


def _wait_for_relay(dsn: str) -> None:
    """Until it holds its lane: then the stream is there."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        while conn.execute("select from relay.lag where leaseholder is not null").fetchone() is None:
            time.sleep(0.05)


async def _listen_to_nats(_: Place, url: str, arrived: dict[str, float]) -> None:
    import nats  # noqa: PLC0415

    server, stream = url.rsplit("/", 1)
    client = await nats.connect(server)

    async def take(message: Any) -> None:
        arrived[(message.headers or {}).get("ce-id", "the relay's probe")] = time.perf_counter()

    await client.subscribe(f"{stream}.>", cb=take)
    try:
        await asyncio.Event().wait()
    finally:
        await client.close()


async def _listen_to_redis(_: Place, url: str, arrived: dict[str, float]) -> None:
    from redis.asyncio import Redis  # noqa: PLC0415

    server, stream = url.split("?stream=")
    last = b"0-0"
    async with Redis.from_url(server, protocol=2) as client:
        while True:
            answer: Any = await client.xread({stream: last}, block=1000, count=100)
            now = time.perf_counter()
            for _stream_name, entries in answer:
                arrived.update((fields[b"id"].decode(), now) for _id, fields in entries)
                last = entries[-1][0]


async def _listen_to_postgres(place: Place, url: str, arrived: dict[str, float]) -> None:
    """Polls every millisecond: there is nothing quicker that costs the writer nothing."""
    assert place.credentials is not None
    user, password = read_credentials(place.credentials).split(":")
    server, table = url.split("?table=")
    query = sql.SQL("select position, id::text from {} where lane = 0 and position > %s order by position")
    last = 0
    async with await psycopg.AsyncConnection.connect(server, user=user, password=password, autocommit=True) as conn:
        while True:
            rows = await (await conn.execute(query.format(sql.Identifier(table)), [last])).fetchall()
            now = time.perf_counter()
            arrived.update((message_id, now) for _, message_id in rows)
            last = rows[-1][0] if rows else last
            await asyncio.sleep(0.001)


_LISTENERS = {"JetStream": _listen_to_nats, "Redis": _listen_to_redis, "Postgres": _listen_to_postgres}


def _write(dsn: str, rate: int, committed: dict[str, float]) -> None:
    """One message a transaction, at a steady rate."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        due = time.perf_counter()
        for n in range(rate * (SECONDS + 1)):
            due += 1 / rate
            time.sleep(max(due - time.perf_counter(), 0))
            row = conn.execute("select outbox.publish('t', %s, jsonb_build_object('n', 1))", [f"k{n % 100}"]).fetchone()
            assert row is not None
            committed[str(row[0])] = time.perf_counter()


def _run_relay(options: Options) -> None:
    asyncio.run(Relay(options, lambda _: None).run())
