"""Messages that a destination refuses for good: their key waits or goes on without them, the others flow, nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest

from relay.destinations.base import Limits, Owner, Refused
from relay.destinations.jsonl import Jsonl
from relay.errors import LeaseLost
from relay.lane import GIVE_UP_AFTER, LaneWorker
from relay.pace import Pace
from relay.source import Registration, Source
from tests.outbox.support import publish, scalar, seal
from tests.relay.support import Connection, drain, jetstream, raw_stream, relay

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from journal.embedded import NatsServer
    from relay.destinations.base import Destination, Outcome, Tail
    from relay.message import Message
    from tests.relay.places import Place


class Picky(Jsonl):
    """A file that takes no message whose data is among `refuses`. What it refuses can be kept, to be appended late."""

    def __init__(self, path: Path, *refuses: str) -> None:
        super().__init__(Jsonl.parse(f"file://{path}"))
        self.refuses = set(refuses)
        self.refused: list[tuple[Sequence[Message], Tail | None]] = []

    async def append(self, lane: int, batch: Sequence[Message], expected: Tail | None) -> Outcome:
        if any(data(one) in self.refuses for one in batch):
            self.refused.append((batch, expected))
            return Refused("message" if len(batch) == 1 else "batch", "not to my taste")
        return await super().append(lane, batch, expected)


def data(message: Message) -> str:
    return str(json.loads(message.data or '""'))


def arrived(path: Path) -> list[tuple[int, str]]:
    """Position and data of what a file holds."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    return [(line["position"], line["data"]) for line in lines]


class Crash(Exception):
    """The relay is gone at this point."""


class Mortal(Source):
    """A relay that is killed before or after its n-th statement."""

    def __init__(self, dsn: str, name: str, *, dies_at: float = float("inf"), before: bool = True) -> None:
        super().__init__(dsn, name)
        self.statements = 0
        self._dies_at = dies_at
        self._before = before

    async def _counted(self, work: Any) -> Any:
        self.statements += 1
        if self.statements >= self._dies_at and self._before:
            work.close()
            raise Crash
        found = await work
        if self.statements >= self._dies_at:
            raise Crash
        return found

    async def _read_one(self, *args: Any) -> Any:
        return await self._counted(super()._read_one(*args))

    async def _read_all(self, *args: Any) -> Any:
        return await self._counted(super()._read_all(*args))

    async def _keep_one(self, *args: Any) -> Any:
        return await self._counted(super()._keep_one(*args))


async def deliver(source: Source, destination: Destination, **registration: Any) -> None:
    """One lane worker in this process, until everything sealed is delivered."""
    limits = Limits(1_000_000, batch_messages=4)
    with contextlib.suppress(Crash):
        try:
            await source.connect()
            await destination.open(Owner(source.origin, source.destination), fresh=True)
            await source.register(destination.url, destination.guarantee, limits, Registration(**registration))
            lease = await source.take(0, uuid4(), "test", 0.01)
            while lease is None:
                lease = await source.take(0, uuid4(), "test", 0.01)
            pace = Pace(lease=0.01, longest_delay=0.01)
            worker = LaneWorker(source, destination, limits, lease, until=await source.last_seal(), pace=pace)
            with contextlib.suppress(LeaseLost):
                await asyncio.wait_for(worker.run(), 5)
        finally:
            await end_everything()
            await source.close()
            await destination.close()


async def end_everything() -> None:
    """As the end of its process ends what a relay has begun."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def publish_some(conn: Connection) -> None:
    """Three keys; the second message of key a will be refused."""
    for one in ("a1", "b1", "a2", "c1", "a3"):
        publish(conn, key=one[0], data=one)
    seal(conn)
    for one in ("b2", "a4", "c2"):
        publish(conn, key=one[0], data=one)
    seal(conn)


async def test_a_refused_message_parks_its_key_and_the_others_flow(dsn: str, conn: Connection, tmp_path: Path) -> None:
    publish_some(conn)
    path = tmp_path / "out"
    await deliver(Source(dsn, "d"), Picky(path, "a2"))
    assert arrived(path) == [(1, "a1"), (2, "b1"), (4, "c1"), (6, "b2"), (8, "c2")]
    assert conn.execute(
        "select key, waiting, attempts, disposition, error like '%taste' from relay.parked"
    ).fetchall() == [("a", 2, 1, "parked", True)]
    rows = conn.execute("select position, status from relay.deliveries order by 1").fetchall()
    states = ["delivered", "delivered", "parked", "delivered", "waiting", "delivered", "waiting", "delivered"]
    assert rows == list(enumerate(states, 1))
    assert conn.execute("select position, sealed_position, behind, parked from relay.lag").fetchone() == (8, 8, 0, 1)


class Deadly(Picky):
    """A file at which the relay's process dies over what it refuses, as when its memory runs out."""

    async def append(self, lane: int, batch: Sequence[Message], expected: Tail | None) -> Outcome:
        outcome = await super().append(lane, batch, expected)
        if isinstance(outcome, Refused):
            raise Crash
        return outcome


async def test_a_message_at_which_relays_die_is_found_and_parked(dsn: str, conn: Connection, tmp_path: Path) -> None:
    publish_some(conn)
    destination = Deadly(tmp_path / "out", "a2")
    for _ in range(GIVE_UP_AFTER + 1):
        assert scalar(conn, "select count(*) from relay.parked") == 0
        await deliver(Source(dsn, "d"), destination)
    assert [len(batch) for batch, _ in destination.refused] == [4, 4, 4, 1, 1, 1, 1, 1]
    assert arrived(tmp_path / "out") == [(1, "a1"), (2, "b1"), (4, "c1"), (6, "b2"), (8, "c2")]
    assert "5 relays ended without a word" in scalar(conn, "select error from relay.parked")
    assert scalar(conn, "select crashes from relay.lane") == 0


async def test_relays_that_die_with_nothing_to_do_accuse_no_message(dsn: str, conn: Connection, tmp_path: Path) -> None:
    await deliver(Source(dsn, "d"), Picky(tmp_path / "out"))
    for _ in range(GIVE_UP_AFTER + 2):
        conn.execute("select from relay.take_lane('d', 0, gen_random_uuid(), 'killed', '0')")
    publish_some(conn)
    await deliver(Source(dsn, "d"), Picky(tmp_path / "out"))
    assert len(arrived(tmp_path / "out")) == 8


async def test_after_a_refusal_batches_grow_again(
    dsn: str, conn: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.source.MEMBERS_PER_READ", 4)
    publish_some(conn)
    for _ in range(20):
        publish(conn, data="x")
        seal(conn)
    destination = Picky(tmp_path / "out", "a2")
    sizes: list[int] = []
    append = destination.append

    async def counted(lane: int, batch: Sequence[Message], expected: Tail | None) -> Outcome:
        sizes.append(len(batch))
        return await append(lane, batch, expected)

    destination.append = counted  # type: ignore[method-assign]
    await deliver(Source(dsn, "d"), destination)
    assert max(sizes[sizes.index(1) :]) > 1


async def test_a_retry_brings_the_key_in_order_at_new_positions(dsn: str, conn: Connection, tmp_path: Path) -> None:
    publish_some(conn)
    path = tmp_path / "out"
    await deliver(Source(dsn, "d"), Picky(path, "a2"))
    assert conn.execute("select * from relay.retry('d', 'a')").fetchone() == (1, 3)
    publish(conn, key="a", data="a5")
    seal(conn)
    await deliver(Source(dsn, "d"), Picky(path))
    assert arrived(path)[5:] == [(9, "a2"), (10, "a3"), (11, "a4"), (12, "a5")]
    assert scalar(conn, "select count(*) from relay.parked") == 0
    assert scalar(conn, "select count(*) from relay.deliveries where status = 'delivered'") == 9
    assert conn.execute("select * from relay.retry('d')").fetchone() == (0, 0)


async def test_a_retry_that_is_refused_again_parks_again_and_counts(dsn: str, conn: Connection, tmp_path: Path) -> None:
    publish_some(conn)
    path = tmp_path / "out"
    await deliver(Source(dsn, "d"), Picky(path, "a2"))
    conn.execute("select relay.retry('d')")
    await deliver(Source(dsn, "d"), Picky(path, "a2"))
    assert conn.execute("select key, waiting, attempts from relay.parked").fetchall() == [("a", 2, 2)]
    conn.execute("select relay.retry('d')")
    await deliver(Source(dsn, "d"), Picky(path))
    assert [one for _, one in arrived(path)[5:]] == ["a2", "a3", "a4"]


async def test_a_discarded_message_is_a_dead_letter_and_its_key_goes_on(
    dsn: str, conn: Connection, tmp_path: Path
) -> None:
    publish_some(conn)
    path = tmp_path / "out"
    await deliver(Source(dsn, "d"), Picky(path, "a2"))
    message_id = scalar(conn, "select message_id from relay.parked")
    row = conn.execute("select * from relay.retry('d', null, %s, 'broken')", [message_id]).fetchone()
    assert row == (1, 2)
    await deliver(Source(dsn, "d"), Picky(path, "a2"))
    assert [one for _, one in arrived(path)[5:]] == ["a3", "a4"]
    assert conn.execute("select disposition, waiting from relay.parked").fetchall() == [("dead_letter", 0)]
    assert scalar(conn, "select status from relay.deliveries where message_id = %s", [message_id]) == "dead_letter"


async def test_a_dead_letter_on_request_holds_up_nothing(dsn: str, conn: Connection, tmp_path: Path) -> None:
    publish_some(conn)
    path = tmp_path / "out"
    await deliver(Source(dsn, "d"), Picky(path, "a2"), on_refusal="dead-letter")
    assert [one for _, one in arrived(path)] == ["a1", "b1", "c1", "a3", "b2", "a4", "c2"]
    assert conn.execute("select key, waiting, disposition from relay.parked").fetchall() == [("a", 0, "dead_letter")]


async def test_a_message_without_a_key_parks_alone(dsn: str, conn: Connection, tmp_path: Path) -> None:
    for one in ("x", "bad", "y"):
        publish(conn, data=one)
    seal(conn)
    path = tmp_path / "out"
    await deliver(Source(dsn, "d"), Picky(path, "bad"))
    assert arrived(path) == [(1, "x"), (3, "y")]
    conn.execute("select relay.retry('d')")
    await deliver(Source(dsn, "d"), Picky(path))
    assert arrived(path)[2:] == [(4, "bad")]


async def test_other_destinations_do_not_notice(dsn: str, conn: Connection, tmp_path: Path) -> None:
    publish_some(conn)
    await deliver(Source(dsn, "picky"), Picky(tmp_path / "picky", "a2"))
    conn.execute("select relay.retry('picky')")
    publish(conn, key="a", data="a5")
    seal(conn)
    await deliver(Source(dsn, "other"), Picky(tmp_path / "other"))
    assert [position for position, _ in arrived(tmp_path / "other")] == list(range(1, 10))
    assert scalar(conn, "select behind from relay.lag where destination = 'other'") == 0


async def test_every_destination_keeps_empty_positions_and_the_order_of_retried_keys(
    dsn: str, conn: Connection, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_some(conn)
    for refuses in ({"a2"}, {"a2"}, set[str]()):
        destination = place.destination(credentials=place.credentials)
        store = destination.append

        async def append(
            lane: int, batch: Sequence[Message], expected: Tail | None, store: Any = store, refuses: set[str] = refuses
        ) -> Outcome:
            if refuses & {data(one) for one in batch}:
                return Refused("message" if len(batch) == 1 else "batch", "not to my taste")
            outcome: Outcome = await store(lane, batch, expected)
            return outcome

        monkeypatch.setattr(destination, "append", append)
        await deliver(Source(dsn, "d"), destination)
        conn.execute("select relay.retry('d')")
    found = [(int(one.attributes["position"]), json.loads(one.data or "")) for one in place.events()]
    assert found == [(1, "a1"), (2, "b1"), (4, "c1"), (6, "b2"), (8, "c2"), (12, "a2"), (13, "a3"), (14, "a4")]


async def test_finding_21_a_late_append_of_a_parked_message_lifts_the_park(
    dsn: str, conn: Connection, tmp_path: Path
) -> None:
    """The zombie's append stands beside the heir's park: it was on its way when the heir's was refused."""
    for one in ("a1", "a2"):
        publish(conn, key="a", data=one)
    seal(conn)
    path = tmp_path / "out"
    heir = Picky(path, "a1")
    await deliver(Source(dsn, "d"), heir)
    batch, expected = heir.refused[-1]
    await Picky(path).append(0, batch, expected)
    publish(conn, key="a", data="a3")
    seal(conn)
    await deliver(Source(dsn, "d"), Picky(path))
    assert [one for _, one in arrived(path)] == ["a1", "a2", "a3"]
    assert scalar(conn, "select count(*) from relay.parked") == 0
    assert scalar(conn, "select count(*) from relay.deliveries where status = 'delivered'") == 3


async def test_finding_21_a_late_append_after_a_retry_keeps_the_retried_one_out(
    dsn: str, conn: Connection, tmp_path: Path
) -> None:
    for one in ("a1", "a2"):
        publish(conn, key="a", data=one)
    seal(conn)
    path = tmp_path / "out"
    heir = Picky(path, "a1")
    await deliver(Source(dsn, "d"), heir)
    conn.execute("select relay.retry('d')")
    batch, expected = heir.refused[-1]
    await Picky(path).append(0, batch, expected)
    await deliver(Source(dsn, "d"), Picky(path))
    assert [one for _, one in arrived(path)] == ["a1", "a2"]
    rows = conn.execute("select position, status from relay.deliveries order by 1").fetchall()
    assert rows == [(1, "delivered"), (4, "delivered")]


@pytest.mark.long
async def test_a_relay_killed_at_every_statement_around_a_park_and_a_retry(
    dsn: str, conn: Connection, tmp_path: Path
) -> None:
    """To die after a statement is to die before the next one, but for what the destination does in between: so they take turns."""
    publish_some(conn)
    plain = Mortal(dsn, "plain")
    await deliver(plain, Picky(tmp_path / "plain", "a2"))
    for dies_at in range(9, plain.statements + 1):
        before = dies_at % 2 == 0
        path, name = tmp_path / str(dies_at), f"d{dies_at}"
        await deliver(Mortal(dsn, name, dies_at=dies_at, before=before), Picky(path, "a2"))
        await deliver(Source(dsn, name), Picky(path, "a2"))
        assert [one for _, one in arrived(path)] == ["a1", "b1", "c1", "b2", "c2"]
        conn.execute("select relay.retry(%s)", [name])
        await deliver(Mortal(dsn, name, dies_at=dies_at, before=before), Picky(path))
        await deliver(Source(dsn, name), Picky(path))
        assert [one for _, one in arrived(path)] == ["a1", "b1", "c1", "b2", "c2", "a2", "a3", "a4"]
    assert scalar(conn, "select count(*) from relay.parked where destination <> 'plain'") == 0


def test_parked_retry_and_discard_at_the_command_line(
    dsn: str, conn: Connection, nats: NatsServer, stream: str
) -> None:
    url = f"{nats.url}/{stream}"
    base = {"name": stream, "subjects": [f"{stream}.>"], "storage": "file", "max_msg_size": 100_000}
    jetstream(nats.url, f"STREAM.CREATE.{stream}", base)
    name = f"nats:{stream}"
    large = publish(conn, key="a", data="x" * 200_000)
    behind = publish(conn, key="a")
    other = publish(conn, key="b")
    code, _, said = relay(dsn, "run", url, "--drain")
    assert code == 1
    assert "1 messages are parked; see: relay parked" in said
    assert [headers["ce-id"] for headers, _ in raw_stream(nats.url, stream)] == [str(other)]
    _, out, _ = relay(dsn, "parked", name, "--json")
    row = json.loads(out)
    assert (row["message_id"], row["key"], row["waiting"], row["disposition"]) == (str(large), "a", 1, "parked")
    assert f"relay retry {name} --message {large}" in relay(dsn, "parked")[1]
    assert relay(dsn, "retry", name)[0] == 2
    assert relay(dsn, "retry", "nobody", "--all")[0] == 2
    assert relay(dsn, "retry", name, "--key", "zzz")[0] == 4
    jetstream(nats.url, f"STREAM.UPDATE.{stream}", {**base, "max_msg_size": 900_000, "allow_atomic": True})
    code, out, _ = relay(dsn, "retry", name, "--message", str(large)[-8:], "--json")
    assert (code, json.loads(out)["messages"]) == (0, 2)
    drain(dsn, url)
    assert [headers["ce-id"] for headers, _ in raw_stream(nats.url, stream)] == [str(other), str(large), str(behind)]
    code, out, _ = relay(dsn, "discard", name, "--message", str(large), "--reason", "gone", "--json")
    assert (code, json.loads(out)["outcome"]) == (4, "nothing")


def test_a_retry_beside_a_transaction_that_holds_the_sealers_lock_says_that_it_is_busy(
    dsn: str, conn: Connection, superuser_dsn: str
) -> None:
    conn.execute("select relay.register('d', 'stdout:', 'D', 1000000)")
    with psycopg.connect(superuser_dsn) as other:
        other.execute("select from outbox.sealer for update")
        code, _, said = relay(f"{dsn}?options=-c%20lock_timeout%3D50ms", "retry", "d", "--all")
    assert (code, "is busy" in said) == (6, True)
