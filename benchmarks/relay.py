"""The relay to NATS JetStream beside the same client that delivers the same messages, with the same guarantee, from memory.

`RELAY_BACKLOGS=1000,1000000` chooses other backlogs (10,000,000 needs 10 GB and half an hour), `RELAY_BATCHES` other batch sizes.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import statistics
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.measure import Ratio
from journal.embedded import NatsServer, start_nats
from journal.migrate import migrate
from relay.destinations.base import Limits, Owner, Stored, Tail
from relay.destinations.nats import Nats
from relay.run import Options, Relay
from relay.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.synchronize import Barrier

    from journal.embedded import PostgresServer
    from relay.message import Message

BACKLOGS = tuple(int(n) for n in os.environ.get("RELAY_BACKLOGS", "1000,10000,100000").split(","))
BATCHES = tuple(int(n) for n in os.environ.get("RELAY_BATCHES", "100,1000").split(","))
RATES = (300, 1000)
ROUNDS = 3
SECONDS = 6
_TRANSACTION = 500


def run(server: PostgresServer) -> list[Ratio]:
    found: list[Ratio] = []
    with start_nats() as nats:
        for backlog in BACKLOGS:
            with _database(server) as dsn:
                _publish(dsn, backlog)
                found += [_throughput(dsn, nats, backlog, batch) for batch in BATCHES]
                if backlog == max(BACKLOGS):
                    found += [_several(dsn, nats, backlog, relays) for relays in (2, 4)]
        for rate in RATES:
            with _database(server) as dsn:
                found += _latency(dsn, nats, rate)
    return found


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


def _throughput(dsn: str, nats: NatsServer, messages: int, batch: int) -> Ratio:
    held = asyncio.run(_in_memory(dsn, messages))
    memory, ours = [], []
    for _ in range(ROUNDS):
        memory.append(messages / asyncio.run(_from_memory(nats, held, batch)))
        ours.append(messages / asyncio.run(_by_relay(dsn, nats, batch)))
    ratio = statistics.median(one / other for one, other in zip(ours, memory, strict=True))
    baseline = statistics.median(memory)
    what = f"relay to JetStream, {messages:,} unread, batches of {batch:,}"
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


async def _from_memory(nats: NatsServer, held: list[Message], batch: int) -> float:
    destination = _stream(nats)
    await destination.open(Owner("bench", "memory"), fresh=True)
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


def _stream(nats: NatsServer) -> Nats:
    return Nats(Nats.parse(_fresh(nats)))


def _fresh(nats: NatsServer, lanes: int = 1) -> str:
    return f"{nats.url}/B{time.monotonic_ns()}" + (f"?lanes={lanes}" if lanes > 1 else "")


class _Batched(Nats):
    """Batches of at most so many."""

    batch = 1000

    async def open(self, owner: Owner, *, fresh: bool) -> Limits:
        return replace(await super().open(owner, fresh=fresh), batch_messages=self.batch)


async def _by_relay(dsn: str, nats: NatsServer, batch: int) -> float:
    """From the first append to the last: starting and the look at the stream are left out, as they are of the baseline."""
    relay = Relay(Options(dsn=dsn, url=_fresh(nats), drain=True), lambda _: None)
    relay._class = type("Batched", (_Batched,), {"batch": batch})  # noqa: SLF001
    began: list[float] = []
    relay._say = lambda _: began.append(time.perf_counter())  # noqa: SLF001  said when all is open
    await relay.run()
    return time.perf_counter() - began[0]


def _several(dsn: str, nats: NatsServer, messages: int, relays: int) -> Ratio:
    """As many relays, processes of their own, as lanes, beside one."""
    one, many = [], []
    for _ in range(ROUNDS):
        one.append(messages / _drained(dsn, _fresh(nats), 1))
        many.append(messages / _drained(dsn, _fresh(nats, relays), relays))
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


def _latency(dsn: str, nats: NatsServer, rate: int) -> list[Ratio]:
    """Milliseconds from the commit of a message to its consumer, beside the bars."""
    taken = sorted(asyncio.run(_measured(dsn, nats, rate)))
    p50, p99 = taken[len(taken) // 2] * 1e3, taken[len(taken) * 99 // 100] * 1e3
    return [
        Ratio(f"commit to consumer at {rate}/s, p50", p50, 5.0, "ms", bar=1.0, baseline_name="the bar"),
        Ratio(f"commit to consumer at {rate}/s, p99", p99, 15.0, "ms", bar=1.0, baseline_name="the bar"),
    ]


async def _measured(dsn: str, nats: NatsServer, rate: int) -> list[float]:
    import nats as client_of_nats  # noqa: PLC0415

    url = _fresh(nats)
    stream = url.rpartition("/")[2]
    process = multiprocessing.get_context("spawn").Process(target=_run_relay, args=(dsn, url), daemon=True)
    process.start()
    client = await client_of_nats.connect(nats.url)
    context = client.jetstream()
    committed: dict[str, float] = {}
    arrived: dict[str, float] = {}
    while True:
        try:
            await context.stream_info(stream)
            break
        except client_of_nats.js.errors.NotFoundError:
            await asyncio.sleep(0.05)

    async def take(message: Any) -> None:
        arrived[(message.headers or {}).get("ce-id", "the relay's probe")] = time.perf_counter()

    await client.subscribe(f"{stream}.>", cb=take)
    await client.flush()
    writer = threading.Thread(target=_write, args=(dsn, rate, committed))
    writer.start()
    await asyncio.to_thread(writer.join)
    await asyncio.sleep(1)
    await client.close()
    process.kill()
    process.join()
    known = list(committed)[rate:]  # the first second warms up
    return [arrived[one] - committed[one] for one in known]


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


def _run_relay(dsn: str, url: str) -> None:
    asyncio.run(Relay(Options(dsn=dsn, url=url), lambda _: None).run())
