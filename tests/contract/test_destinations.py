"""One suite over every destination that can refuse a repeat: what the relay relies on, whoever implements it.

A new destination enrols itself with a `Place` of its own in `PLACES`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from relay.destinations import destination_class
from relay.destinations.base import Destination, MalformedUrl, Owner, Refused, Stored, Tail
from relay.errors import DestinationUnavailable, ForeignWriter, TailLost
from relay.message import Message
from tests.relay.oracle import judge
from tests.relay.support import (
    committed,
    drain,
    in_file,
    in_stream,
    jetstream,
    make_counters,
    produce,
    raw_stream,
    relay,
    write_to_stream,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from journal.embedded import NatsServer
    from tests.relay.oracle import Arrived
    from tests.relay.support import Connection

LINEAGE = str(uuid4())
OWNER = Owner(origin=LINEAGE, destination="d")


class Place(ABC):
    """Where a destination writes, seen from the other side."""

    url: str
    unreachable: str

    @abstractmethod
    def arrived(self) -> Sequence[Arrived]:
        """What a consumer finds there."""

    @abstractmethod
    def bodies(self) -> list[Any]:
        """The data of all messages, decoded; None for no data."""

    @abstractmethod
    def write(self, text: bytes) -> None:
        """What somebody else writes there."""

    @abstractmethod
    def lose_everything(self) -> None:
        """Whatever was stored is gone, and the place itself too."""


class NatsPlace(Place):
    def __init__(self, server: NatsServer, stream: str) -> None:
        self._server, self._stream = server, stream
        self.url = f"{server.url}/{stream}"
        self.unreachable = f"nats://127.0.0.1:1/{stream}"

    def arrived(self) -> Sequence[Arrived]:
        return in_stream(self._server.url, self._stream)

    def bodies(self) -> list[Any]:
        return [json.loads(data) if data else None for _, data in raw_stream(self._server.url, self._stream)]

    def write(self, text: bytes) -> None:
        write_to_stream(self._server.url, f"{self._stream}.theirs", text)

    def lose_everything(self) -> None:
        jetstream(self._server.url, f"STREAM.DELETE.{self._stream}")


class FilePlace(Place):
    def __init__(self, folder: Path) -> None:
        self._path = folder / "out.jsonl"
        self.url = f"file://{self._path}"
        self.unreachable = f"file://{folder}/no/such/folder/out.jsonl"

    def arrived(self) -> Sequence[Arrived]:
        return in_file(self._path)

    def bodies(self) -> list[Any]:
        return [json.loads(line).get("data") for line in self._path.read_bytes().splitlines()]

    def write(self, text: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(text + b"\n")

    def lose_everything(self) -> None:
        self._path.unlink()


PLACES = ("nats", "file")


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "nats":
        return NatsPlace(request.getfixturevalue("nats"), request.getfixturevalue("stream"))
    return FilePlace(tmp_path)


def made(url: str) -> Destination:
    found = destination_class(url)
    return found(found.parse(url))


@pytest.fixture
async def destination(place: Place) -> AsyncIterator[Destination]:
    one = made(place.url)
    await one.open(OWNER, fresh=True)
    yield one
    await one.close()


def message(position: int, data: str | None = "{}", **changes: Any) -> Message:
    plain = Message(
        position=position,
        source="/test",
        seal=position,
        place=position,
        lane=0,
        message_id=str(uuid4()),
        lineage=LINEAGE,
        topic="orders.made",
        key="k",
        type="order",
        data=data,
        headers="{}",
        compensates=None,
        caused_by=None,
        created_at="2026-11-22T03:04:05.000000Z",
        bytes=100,
    )
    return plain._replace(**changes)


async def stored(destination: Destination, batch: Sequence[Message], expected: Tail | None) -> Tail:
    outcome = await destination.append(0, batch, expected)
    assert isinstance(outcome, Stored), outcome
    return Tail(batch[-1].position, batch[-1].message_id, batch[-1].lineage, outcome.token)


async def test_an_empty_destination_has_no_tail(destination: Destination) -> None:
    assert await destination.tail(0, None) is None


@pytest.mark.parametrize("size", [1, 2, 300])
async def test_an_append_moves_the_tail(destination: Destination, size: int) -> None:
    tail = await stored(destination, [message(n) for n in range(1, size + 1)], None)
    assert await destination.tail(0, None) == tail
    second = await stored(destination, [message(n) for n in range(size + 1, 2 * size + 1)], tail)
    assert await destination.tail(0, tail) == second


@pytest.mark.parametrize("size", [1, 3])
async def test_an_append_that_expects_another_tail_is_refused_whole(
    destination: Destination, place: Place, size: int
) -> None:
    first = await stored(destination, [message(1)], None)
    second = await stored(destination, [message(2)], first)
    for stale in (None, first, Tail(9, str(uuid4()), LINEAGE, "999999")):
        outcome = await destination.append(0, [message(3 + n) for n in range(size)], stale)
        assert isinstance(outcome, Refused)
        assert outcome.why == "moved"
    assert await destination.tail(0, None) == second
    assert len(place.bodies()) == 2


async def test_of_two_relays_with_one_expectation_one_is_refused(place: Place, destination: Destination) -> None:
    other = made(place.url)
    await other.open(OWNER, fresh=False)
    outcomes = [await one.append(0, [message(1), message(2)], None) for one in (destination, other)]
    await other.close()
    assert [type(outcome) for outcome in outcomes] == [Stored, Refused]
    assert len(place.bodies()) == 2


async def test_what_lies_between_two_tails_is_read_back(destination: Destination) -> None:
    batch = [message(n) for n in range(1, 301)]
    first = await stored(destination, batch[:2], None)
    last = await stored(destination, batch[2:], first)
    assert [pair async for pair in destination.read_back(0, first, last)] == [
        (m.position, m.message_id) for m in batch[2:]
    ]
    assert len([pair async for pair in destination.read_back(0, None, last)]) == 300


async def test_the_tail_is_there_after_a_restart(place: Place, destination: Destination) -> None:
    tail = await stored(destination, [message(1)], None)
    await destination.close()
    again = made(place.url)
    await again.open(OWNER, fresh=False)
    assert await again.tail(0, None) == tail
    await again.close()


async def test_data_arrives_as_it_was(destination: Destination, place: Place) -> None:
    texts: list[str | None] = [None, "null", '""', '{"ü": [1.50, "\\n\\"\\u0000"]}', '"' + "x" * 700_000 + '"']
    tail = None
    for number, text in enumerate(texts, 1):
        tail = await stored(destination, [message(number, text, key=f"k\r\n\t{number} 'é'")], tail)
    expected = [None if text is None else json.loads(text) for text in texts]
    assert place.bodies() == expected


async def test_a_foreign_message_at_the_tail_is_noticed(destination: Destination, place: Place) -> None:
    tail = await stored(destination, [message(1)], None)
    place.write(b"theirs")
    outcome = await destination.append(0, [message(2)], tail)
    assert isinstance(outcome, Refused)
    assert outcome.why == "moved"
    with pytest.raises(ForeignWriter):
        await destination.tail(0, tail)


async def test_a_place_that_is_gone_is_never_made_again_silently(destination: Destination, place: Place) -> None:
    tail = await stored(destination, [message(1)], None)
    place.lose_everything()
    with pytest.raises(TailLost):
        await destination.tail(0, tail)
    again = made(place.url)
    with pytest.raises(TailLost):
        await again.open(OWNER, fresh=False)
    await again.close()


async def test_an_unreachable_place_is_said_to_be(place: Place) -> None:
    one = made(place.unreachable)
    with pytest.raises(DestinationUnavailable) as raised:
        await one.open(OWNER, fresh=True)
    assert raised.value.hint
    await one.close()
    await one.close()


def test_every_url_is_shown_as_it_was_given(place: Place) -> None:
    found = destination_class(place.url)
    assert found.parse(place.url).shown == place.url
    with pytest.raises(MalformedUrl):
        found.parse(place.url + "?no=such&option=1")


# -- the same through a relay


def test_a_relay_delivers_exactly_what_was_committed(dsn: str, conn: Connection, place: Place) -> None:
    make_counters(conn)
    for messages in (8, 1600, 80, 3200):
        produce(conn, messages)
        drain(dsn, place.url)
    judge(committed(conn), place.arrived())


def test_a_relay_that_lost_its_checkpoint_reads_back_and_goes_on(dsn: str, conn: Connection, place: Place) -> None:
    """As after a kill between the acknowledgement and the checkpoint, a second's worth and more."""
    make_counters(conn)
    produce(conn, 80)
    drain(dsn, place.url)
    before = conn.execute(
        "select seal, position, passed, last_seal, last_id, message_id, token from relay.lane"
    ).fetchone()
    produce(conn, 1600)
    drain(dsn, place.url)
    conn.execute("delete from relay.mark where position > 80")
    conn.execute(
        "update relay.lane set (seal, position, passed, last_seal, last_id, message_id, token) = (%s, %s, %s, %s, %s, %s, %s)",
        before,
    )
    produce(conn, 80)
    drain(dsn, place.url)
    judge(committed(conn), place.arrived())


def test_a_relay_that_lost_its_first_checkpoint_adopts_what_it_had_delivered(
    dsn: str, conn: Connection, place: Place
) -> None:
    make_counters(conn)
    produce(conn, 2400)
    drain(dsn, place.url)
    conn.execute("delete from relay.mark")
    conn.execute(
        "update relay.lane set (seal, position, passed, last_seal, last_id, message_id, token) = (0, 0, 0, 0, 0, null, null)"
    )
    drain(dsn, place.url)
    produce(conn, 80)
    drain(dsn, place.url)
    judge(committed(conn), place.arrived())


def test_finding_19_a_destination_that_holds_what_the_source_lost_stops(
    dsn: str, conn: Connection, place: Place
) -> None:
    """The database was restored to an earlier point, and other messages were sealed instead."""
    make_counters(conn)
    produce(conn, 80)
    drain(dsn, place.url)
    before = conn.execute(
        "select seal, position, passed, last_seal, last_id, message_id, token from relay.lane"
    ).fetchone()
    produce(conn, 80)
    drain(dsn, place.url)
    conn.execute("delete from outbox.seal where no = 2")
    conn.execute("delete from relay.mark")
    conn.execute("delete from outbox.message where id > 80")
    conn.execute(
        "update relay.lane set (seal, position, passed, last_seal, last_id, message_id, token) = (%s, %s, %s, %s, %s, %s, %s)",
        before,
    )
    held = list(place.arrived())
    for _ in range(2):
        code, _, said = relay(dsn, "run", place.url, "--drain")
        assert code == 3
        assert "restored" in said or "our seals say" in said
        produce(conn, 160)
    assert list(place.arrived()) == held
    row = conn.execute("select status, status_reason from relay.destinations").fetchone()
    assert row is not None
    assert row[0] == "stopped"


def test_a_destination_that_lost_its_tail_stops(dsn: str, conn: Connection, place: Place) -> None:
    make_counters(conn)
    produce(conn, 80)
    drain(dsn, place.url)
    place.lose_everything()
    produce(conn, 80)
    code, _, said = relay(dsn, "run", place.url, "--drain")
    assert code == 3
    assert "gone" in said


def test_finding_10_two_relays_with_two_filters_do_not_share_a_place(dsn: str, conn: Connection, place: Place) -> None:
    make_counters(conn)
    produce(conn, 80)
    drain(dsn, place.url, "--name", "one")
    held = list(place.arrived())
    produce(conn, 80)
    code, _, _ = relay(dsn, "run", place.url, "--drain", "--name", "two", "--topic", "invoices")
    assert code == 3
    assert list(place.arrived()) == held
