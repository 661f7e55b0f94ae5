"""Faults that are put in for real, and an oracle that compares what was committed with what arrived.

Each runs on every destination that it could tell apart; test_chaos.py mixes all of them on all destinations.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import signal
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest

from relay.destinations import destination_class
from relay.destinations.base import Destination, InDoubt, Limits, Outcome, Owner, Stored, Tail
from relay.destinations.jsonl import Jsonl
from relay.errors import RelayError
from relay.lane import LaneWorker
from relay.pace import Pace
from relay.source import Registration, Source
from tests.outbox.support import publish, scalar
from tests.relay.oracle import Unfaithful, judge
from tests.relay.places import SERVED, FilePlace, NatsPlace, RedisPlace
from tests.relay.proxy import Proxy
from tests.relay.support import (
    Connection,
    Producers,
    QuickRelay,
    RelayProcess,
    committed,
    drain,
    in_file,
    make_counters,
    produce,
    relay,
    stolen_leases,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from pathlib import Path
    from typing import Any

    from relay.destinations.base import Guarantee, Url
    from relay.message import Message
    from tests.relay.places import Place


# -- an append whose request or answer is lost, or that arrives after its sender is dead


class Unreliable(Destination):
    """A destination behind a network that loses requests and answers, and keeps some requests for later."""

    guarantee: ClassVar[Guarantee] = "A"

    def __init__(self, real: Destination, chance: random.Random) -> None:
        super().__init__(real.url)
        self.real = real
        self.chance = chance
        self.kept: list[Callable[[], Coroutine[Any, Any, Outcome]]] = []
        self.seen: list[str] = []

    @classmethod
    def parse(cls, url: str) -> Url:
        return destination_class(url).parse(url)

    async def open(self, owner: Owner, *, fresh: bool) -> Limits:
        return await self.real.open(owner, fresh=fresh)

    async def tail(self, lane: int, known: Tail | None) -> Tail | None:
        found = await self.real.tail(lane, known)
        if self.kept and self.chance.random() < 0.7:  # the bytes of a dead append arrive just after the tail was read
            await self.kept.pop()()
        return found

    async def append(self, lane: int, batch: Sequence[Message], expected: Tail | None) -> Outcome:
        fate = self.chance.choices(["fine", "request lost", "answer lost", "kept"], [5, 1, 1, 1])[0]
        self.seen.append(fate)
        if fate == "kept":
            self.kept.append(lambda: self.real.append(lane, list(batch), expected))
        if fate in {"request lost", "kept"}:
            return InDoubt(fate)
        outcome = await self.real.append(lane, batch, expected)
        return outcome if fate == "fine" else InDoubt(fate)

    async def read_back(self, lane: int, after: Tail | None, upto: Tail) -> AsyncIterator[tuple[int, str]]:
        async for pair in self.real.read_back(lane, after, upto):
            yield pair

    async def close(self) -> None:
        await self.real.close()


async def test_faults_1_and_5_lost_and_late_requests_and_answers(dsn: str, conn: Connection, place: Place) -> None:
    make_counters(conn)
    for _ in range(12):
        produce(conn, 16)
        conn.execute("select outbox.seal()")
    network = Unreliable(place.destination(), random.Random(1))
    await _deliver_all(dsn, network, Limits(1_000_000, batch_messages=7))
    judge(committed(conn), place.arrived())
    assert set(network.seen) == {"fine", "request lost", "answer lost", "kept"}


class Believing(Jsonl):
    """A file that is appended to whatever its tail is, as most relays do it."""

    def _append(self, lines: bytes, expected: Tail | None) -> Outcome:  # noqa: ARG002
        with self.path.open("ab") as file:
            file.write(lines)
            return Stored(token=str(file.tell()))


async def test_the_same_faults_are_seen_where_the_append_is_not_conditional(
    dsn: str, conn: Connection, tmp_path: Path
) -> None:
    """The negative of the test above: it is the condition that keeps messages from arriving twice."""
    make_counters(conn)
    produce(conn, 480)
    conn.execute("select outbox.seal()")
    path = tmp_path / "out.jsonl"
    network = Unreliable(Believing(Jsonl.parse(f"file://{path}")), random.Random(1))
    with contextlib.suppress(RelayError, TimeoutError):  # it may also notice what it has done
        await _deliver_all(dsn, network, Limits(1_000_000, batch_messages=7))
    with pytest.raises(Unfaithful, match="more than once"):
        judge(committed(conn), in_file(path))


async def _deliver_all(dsn: str, destination: Destination, limits: Limits) -> None:
    """One lane worker in this process, until everything sealed is delivered."""
    source = Source(dsn, "d")
    await source.connect()
    try:
        await destination.open(Owner(source.origin, "d"), fresh=True)
        await source.register(destination.url, destination.guarantee, limits, Registration())
        lease = await source.take(0, uuid4(), "test", 10)
        assert lease is not None
        pace = Pace(longest_delay=0.05)
        worker = LaneWorker(source, destination, limits, lease, until=await source.last_seal(), pace=pace)
        await asyncio.wait_for(worker.run(), 60)
    finally:
        await source.close()
        await destination.close()


# -- processes that die


def test_fault_1_a_relay_killed_between_every_two_steps(dsn: str, conn: Connection, place: Place) -> None:
    """One relay after the other delivers a few batches, and each one dies a step later than the one before."""
    make_counters(conn)
    for moment in itertools.count(1):
        produce(conn, 16)
        with QuickRelay(dsn, place.url, place.credentials, lease=0.05, drain=True, batch=14, die_at=moment) as process:
            code = process.wait()
            assert code in {0, -signal.SIGKILL}, process.said()
        if code == 0:
            break
    assert moment > 8, "a delivery has more steps than that"
    judge(committed(conn), place.arrived())


def test_fault_1_where_nothing_is_remembered_a_kill_may_repeat_but_never_loses(
    dsn: str, conn: Connection, tmp_path: Path
) -> None:
    make_counters(conn)
    out = tmp_path / "out"
    for moment in itertools.count(1):
        produce(conn, 8)
        with QuickRelay(dsn, "stdout:", lease=0.001, drain=True, batch=200, die_at=moment, out=out) as process:
            if process.wait() == 0:
                break
    arrived = in_file(out)
    once = list({one.message_id: one for one in arrived}.values())
    assert len(arrived) > len(once)
    judge(committed(conn), once)


@pytest.mark.long
@pytest.mark.parametrize("place", [RedisPlace], indirect=True, ids=["redis"])
def test_fault_3_a_relay_killed_again_and_again_under_load(dsn: str, conn: Connection, place: Place) -> None:
    make_counters(conn)
    chance = random.Random(7)
    with Producers(dsn, seed=7):
        for _ in range(8):
            with QuickRelay(dsn, place.url, place.credentials, lease=0.1) as process:
                process.run_on(chance.uniform(0.05, 0.4))
                process.signal(signal.SIGKILL)
    drain(dsn, place.url, *place.options())
    judge(committed(conn), place.arrived())


@pytest.mark.long
@pytest.mark.parametrize("place", SERVED, indirect=True, ids=lambda kind: kind.kind)
def test_fault_11_a_broker_killed_in_the_middle_of_batches(dsn: str, conn: Connection, place: Place) -> None:
    make_counters(conn)
    chance = random.Random(11)
    place.use_own_server()
    assert place.server is not None
    with QuickRelay(dsn, place.url, place.credentials) as process:
        process.wait_until_said("guarantee A")
        for _ in range(2):
            produce(conn, 1600, size=200)
            process.run_on(chance.uniform(0.02, 0.2))
            place.server.kill()
            place.server.start()
        wait_until(lambda: _position(conn) == sum(committed(conn).values()), 60, process.said)
        row = conn.execute("select last_error is not null, status from relay.destinations").fetchone()
        assert row == (True, "running")
        process.end()
    judge(committed(conn), place.arrived())


def test_fault_11_a_destination_that_lost_its_acknowledged_tail_is_not_filled_up_behind_its_back(
    dsn: str, conn: Connection, place: Place
) -> None:
    """Brought back from a copy, its end is sound and too early. What comes then is for a person to say."""
    make_counters(conn)
    if isinstance(place, NatsPlace):
        place.use_own_server()
    produce(conn, 80)
    drain(dsn, place.url, *place.options())
    bring_back = place.back_up()
    produce(conn, 80)
    drain(dsn, place.url, *place.options())
    assert len(place.arrived()) == 160
    bring_back()
    produce(conn, 8)
    code, _, said = relay(dsn, "run", place.url, "--drain", *place.options())
    assert (code, "ends at position 80 and had acknowledged 160" in said) == (3, True), said
    assert len(place.arrived()) == 80


@pytest.mark.long
@pytest.mark.parametrize("place", [FilePlace], indirect=True, ids=["file"])
def test_fault_2_the_answers_to_checkpoints_are_lost(dsn: str, conn: Connection, place: Place) -> None:
    make_counters(conn)
    parts = urlsplit(dsn)
    with Proxy(int(parts.port or 0)) as proxy:
        proxied = urlunsplit(parts._replace(netloc=parts.netloc.replace(str(parts.port), str(proxy.port))))
        with Producers(dsn, seed=2), QuickRelay(proxied, place.url) as process:
            process.wait_until_said("guarantee A")
            for _ in range(3):
                _wait_for_progress(conn)
                proxy.down.mode = "drop"
                process.run_on(0.15)  # a checkpoint is due every tenth of a second
                proxy.cut_clients()
                proxy.down.mode = "flow"
            _wait_for_progress(conn)
            process.end()
    drain(dsn, place.url)
    judge(committed(conn), place.arrived())


@pytest.mark.long
@pytest.mark.parametrize("place", [FilePlace], indirect=True, ids=["file"])
def test_fault_6_the_backends_of_a_relay_terminated_under_load(dsn: str, conn: Connection, place: Place) -> None:
    make_counters(conn)
    with Producers(dsn, seed=6), QuickRelay(dsn, place.url, place.credentials, lease=0.1) as process:
        process.wait_until_said("guarantee A")
        for _ in range(3):
            _wait_for_progress(conn)
            conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and application_name like 'relay %'"
            )
        _wait_for_progress(conn)
        process.end()
    drain(dsn, place.url, *place.options())
    judge(committed(conn), place.arrived())


def _wait_for_progress(conn: Connection, *, or_until_said: tuple[str, RelayProcess] | None = None) -> None:
    """Until the only destination has got further than it is now."""
    before = _position(conn)

    def moved() -> bool:
        said = or_until_said is not None and or_until_said[0] in or_until_said[1].said()
        return said or _position(conn) > before

    wait_until(moved, 30, lambda: or_until_said[1].said() if or_until_said else "no progress")


def _position(conn: Connection) -> int:
    row = conn.execute("select position from relay.lag").fetchone()
    return int(row[0]) if row else 0


# -- relays that do not know of each other


def test_fault_4_two_relays_on_one_lane_without_leases(dsn: str, conn: Connection, place: Place) -> None:
    make_counters(conn)
    drain(dsn, place.url, *place.options())
    with (
        stolen_leases(dsn),
        Producers(dsn, seed=4),
        QuickRelay(dsn, place.url, place.credentials) as one,
        QuickRelay(dsn, place.url, place.credentials) as two,
    ):
        for process in (one, two):
            process.wait_until_said("guarantee A")
        one.run_on(0.5)
        for process in (one, two):
            process.end()
    drain(dsn, place.url, *place.options())
    judge(committed(conn), place.arrived())


@pytest.mark.long
def test_fault_4_a_relay_that_slept_past_its_lease(dsn: str, conn: Connection, place: Place) -> None:
    """Stopped at some moment of a delivery, it wakes up when its heir has gone on; or, stopped while it had a file locked, when
    the heir has said that it cannot."""
    make_counters(conn)
    with Producers(dsn, seed=5), QuickRelay(dsn, place.url, place.credentials) as sleeper:
        sleeper.wait_until_said("guarantee A")
        _wait_for_progress(conn)
        sleeper.signal(signal.SIGSTOP)
        with QuickRelay(dsn, place.url, place.credentials) as heir:
            _wait_for_progress(conn, or_until_said=("is locked by another process", heir))
            sleeper.signal(signal.SIGCONT)
            sleeper.wait_until_said("another relay has taken lane 0")
            heir.end()
    drain(dsn, place.url, *place.options())
    judge(committed(conn), place.arrived())


# -- files


def test_fault_18_a_torn_line_is_cut(dsn: str, conn: Connection, tmp_path: Path) -> None:
    make_counters(conn)
    path = tmp_path / "out.jsonl"
    produce(conn, 80)
    drain(dsn, f"file://{path}")
    for torn in (b"{", b'{"specversion":"1.0","id":"01', b"\0" * 500):
        with path.open("ab") as file:
            file.write(torn)
        produce(conn, 8)
        drain(dsn, f"file://{path}")
    judge(committed(conn), in_file(path))


async def test_fault_18_a_disk_that_is_full_leaves_whole_lines(
    dsn: str, conn: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_counters(conn)
    produce(conn, 400)
    conn.execute("select outbox.seal()")
    path = tmp_path / "out.jsonl"
    full = iter([True, True, False, True, False, False])
    real = __import__("os").pwrite

    def pwrite(file: int, data: memoryview, at: int) -> int:
        if next(full, False):
            real(file, data[: len(data) // 2], at)
            raise OSError(28, "No space left on device")
        return int(real(file, data, at))

    monkeypatch.setattr("relay.destinations.jsonl.os.pwrite", pwrite)
    await _deliver_all(dsn, Jsonl(Jsonl.parse(f"file://{path}")), Limits(1_000_000, batch_messages=50))
    judge(committed(conn), in_file(path))
    row = conn.execute("select last_error, status_reason from relay.destinations").fetchone()
    assert row is not None
    assert "No space left" in row[0]


# -- the source


def test_fault_7_a_long_transaction_holds_nothing_back_but_itself(
    dsn: str, conn: Connection, file_url: str, tmp_path: Path
) -> None:
    make_counters(conn)
    with psycopg.connect(dsn) as slow:
        slow.execute("update counter set n = n + 1 where key = '8'")
        slow.execute("select outbox.publish('orders.made', '8', '{\"n\": 1}')")
        produce(conn, 700, keys=7)
        drain(dsn, file_url)
        assert len(in_file(tmp_path / "out.jsonl")) == 700
        slow.commit()
    drain(dsn, file_url)
    judge(committed(conn), in_file(tmp_path / "out.jsonl"))


def test_finding_25_what_a_relay_updates_is_bounded_by_time_not_by_load(
    dsn: str, conn: Connection, file_url: str
) -> None:
    """While somebody holds an old snapshot, every update leaves a row that nobody can remove."""
    for _ in range(200):
        publish(conn)
        conn.execute("select outbox.seal()")
    with psycopg.connect(dsn) as old:
        old.execute("set transaction isolation level repeatable read")
        old.execute("select from outbox.seal")
        drain(dsn, file_url)
        dead = "select sum(n_tup_upd + n_tup_del) from pg_stat_all_tables where schemaname in ('outbox', 'relay')"
        wait_until(lambda: scalar(conn, dead) > 0)
        assert scalar(conn, dead) < 20
