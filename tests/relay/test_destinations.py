"""What every destination owes a relay, tried on each of them with the same faults. No database: a driver by itself.

`tail` and `append` are the whole promise: an append is stored whole, durably and once, or refused, or in doubt; never stored
where the tail is another.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from relay.destinations.base import InDoubt, Owner, Refused, Stored, Tail
from relay.errors import DestinationUnavailable, ForeignWriter, RelayError, TailLost
from relay.message import Message
from tests.relay.places import CONSUMED, SERVED, NatsPlace
from tests.relay.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from relay.destinations.base import Destination
    from tests.relay.places import Place

LINEAGE = "01890000-0000-7000-8000-000000000000"
OWNER = Owner("0189ffff-0000-7000-8000-000000000000", "contract")
served = pytest.mark.parametrize("place", SERVED, indirect=True, ids=lambda kind: kind.kind)
consumed = pytest.mark.parametrize("place", CONSUMED, indirect=True, ids=lambda kind: kind.kind)


def message(position: int, *, data: str | None = '{"n": 1}', key: str | None = "1", headers: str = "{}") -> Message:
    return Message(
        position=position,
        source="/source",
        seal=position,
        place=position,
        lane=0,
        message_id=str(UUID(int=position)),
        lineage=LINEAGE,
        topic="orders.made",
        key=key,
        type="order",
        data=data,
        headers=headers,
        compensates=None,
        caused_by=None,
        created_at="2026-11-22T03:04:05.678901Z",
        bytes=len(data or ""),
    )


def messages(first: int, last: int) -> list[Message]:
    return [message(position) for position in range(first, last + 1)]


def tail_at(position: int, token: str) -> Tail:
    return Tail(position, str(UUID(int=position)), None, token)


@asynccontextmanager
async def opened(place: Place, *, port: int | None = None, fresh: bool = True) -> AsyncIterator[Destination]:
    destination = place.destination(port=port)
    try:
        await destination.open(OWNER, fresh=fresh)
        await destination.tail(0, None)  # as every relay begins
        yield destination
    finally:
        await destination.close()


async def store(destination: Destination, first: int, last: int, expected: Tail | None) -> Tail:
    outcome = await destination.append(0, messages(first, last), expected)
    assert isinstance(outcome, Stored), outcome
    return tail_at(last, outcome.token)


async def refused(destination: Destination, first: int, expected: Tail | None) -> Refused:
    outcome = await destination.append(0, messages(first, first + 1), expected)
    assert isinstance(outcome, Refused), outcome
    return outcome


def positions(place: Place) -> list[int]:
    return [one.position for one in place.arrived()]


# -- storing


async def test_an_empty_lane_has_no_tail_and_takes_a_first_append(place: Place) -> None:
    async with opened(place) as destination:
        assert await destination.tail(0, None) is None
        last = await store(destination, 1, 1, None)
        assert await destination.tail(0, None) == Tail(1, last.message_id, LINEAGE, last.token)


async def test_a_batch_is_stored_whole_and_its_last_message_is_the_tail(place: Place) -> None:
    async with opened(place) as destination:
        first = await store(destination, 1, 3, None)
        last = await store(destination, 4, 203, first)
        assert positions(place) == list(range(1, 204))
        assert await destination.tail(0, first) == Tail(203, last.message_id, LINEAGE, last.token)


async def test_positions_may_leave_out_what_was_parked(place: Place) -> None:
    async with opened(place) as destination:
        outcome = await destination.append(0, [message(1), message(3)], None)
        assert isinstance(outcome, Stored)
        await store(destination, 6, 7, tail_at(3, outcome.token))
        assert positions(place) == [1, 3, 6, 7]


async def test_what_is_stored_is_read_back_by_position_and_id(place: Place) -> None:
    async with opened(place) as destination:
        first = await store(destination, 1, 5, None)
        last = await store(destination, 6, 150, first)
        for after, begin in ((None, 1), (first, 6)):
            async with aclosing(destination.read_back(0, after, last)) as stored:  # type: ignore[type-var]
                found = [pair async for pair in stored]
            assert found == [(n, str(UUID(int=n))) for n in range(begin, 151)]


async def test_another_relay_finds_what_the_first_one_stored(place: Place) -> None:
    async with opened(place) as first:
        last = await store(first, 1, 5, None)
    async with opened(place, fresh=False) as second:
        assert await second.tail(0, None) == Tail(5, last.message_id, LINEAGE, last.token)
        await store(second, 6, 7, last)


async def test_a_message_travels_with_everything_that_it_is(place: Place) -> None:
    data = '{"ü": 1.50, "text": "a\\r\\nb\\u0001 \\"quoted\\"  ☃"}'
    headers = '{"X-Trace": "t t", "n": 1}'
    key = "a key\r\n\twith «everything», 100 %"
    async with opened(place) as destination:
        batch = [message(1, data=data, key=key, headers=headers), message(2, data=None, key=None)]
        assert isinstance(await destination.append(0, batch, None), Stored)
    first, second = place.events()
    assert (first.attributes["id"], first.attributes["type"], first.attributes["subject"]) == (
        str(UUID(int=1)),
        "order",
        key,
    )
    assert (first.attributes["source"], first.attributes["lineage"]) == ("/source", LINEAGE)
    assert first.data is not None
    assert json.loads(first.data) == json.loads(data)
    assert '"ü": 1.50' in first.data
    assert {name: str(value) for name, value in first.headers.items()} == {"X-Trace": "t t", "n": "1"}
    assert (second.data, second.headers, second.attributes.get("subject")) == (None, {}, None)


@pytest.mark.parametrize(
    "place", [kind for kind in (*SERVED,) if kind is not NatsPlace], indirect=True, ids=lambda k: k.kind
)
async def test_fault_20_a_message_of_10_mb(place: Place) -> None:
    async with opened(place) as destination:
        large = message(2, data=json.dumps({"n": 1, "pad": "x" * 10_000_000}))
        outcome = await destination.append(0, [message(1), large, message(3)], None)
        assert isinstance(outcome, Stored), outcome
        tail = await destination.tail(0, None)
        assert tail is not None
        assert tail.position == 3
    assert len(str(place.events()[1].data)) > 10_000_000


# -- refusing


@pytest.mark.parametrize("behind", [0, 3])
async def test_an_append_that_does_not_continue_the_tail_is_refused_and_nothing_is_stored(
    place: Place, behind: int
) -> None:
    async with opened(place) as destination:
        early = await store(destination, 1, 3, None)
        last = await store(destination, 4, 6, early)
        assert (await refused(destination, behind + 1, early if behind else None)).why == "moved"
        ahead = tail_at(9, last.token.replace("6", "9"))
        assert (await refused(destination, 10, ahead)).why == "moved"
        assert positions(place) == [1, 2, 3, 4, 5, 6]
        await store(destination, 7, 7, last)


async def test_fault_1_an_append_repeated_after_its_answer_was_lost_is_refused(place: Place) -> None:
    async with opened(place) as destination:
        first = await store(destination, 1, 3, None)
        last = await store(destination, 4, 5, first)  # and nobody heard of it
        assert (await refused(destination, 4, first)).why == "moved"
        assert await destination.tail(0, first) == Tail(5, last.message_id, LINEAGE, last.token)
        assert positions(place) == [1, 2, 3, 4, 5]


async def test_fault_4_of_two_relays_that_append_at_once_one_wins(place: Place) -> None:
    async with opened(place) as one, opened(place) as two:
        last: Tail | None = None
        for first in range(1, 60, 3):
            both = await asyncio.gather(*(relay.append(0, messages(first, first + 2), last) for relay in (one, two)))
            (stored,) = (outcome for outcome in both if isinstance(outcome, Stored))
            (lost,) = (outcome for outcome in both if isinstance(outcome, Refused))
            assert lost.why == "moved"
            last = tail_at(first + 2, stored.token)
        assert positions(place) == list(range(1, 61))


async def test_a_foreign_writer_stops_the_lane(place: Place) -> None:
    async with opened(place) as destination:
        last = await store(destination, 1, 3, None)
        place.write_foreign()
        await refused(destination, 4, last)
        with pytest.raises(ForeignWriter):
            await destination.tail(0, last)
        await refused(destination, 4, last)


async def test_a_place_with_messages_of_others_is_refused_at_the_start(place: Place) -> None:
    async with opened(place) as destination:
        await store(destination, 1, 3, None)
    place.write_foreign()
    with pytest.raises(ForeignWriter):
        async with opened(place, fresh=False):
            pass


@served
async def test_a_place_of_another_relay_is_refused_at_the_start(place: Place) -> None:
    async with opened(place):
        pass
    for owner in (Owner("another-database", OWNER.destination), Owner(OWNER.origin, "another-name")):
        destination = place.destination()
        with pytest.raises(ForeignWriter, match="belongs to another relay"):
            await destination.open(owner, fresh=True)
        await destination.close()


# -- losing


@consumed
async def test_what_consumers_have_taken_leaves_the_tail_where_it_was(place: Place) -> None:
    """Finding 34, fault 14: trimmed to zero."""
    async with opened(place) as destination:
        known = await store(destination, 1, 3, None)
        last = await store(destination, 4, 6, known)
        place.consume_all()
        assert positions(place) == []
        for checkpoint in (last, known):
            tail = await destination.tail(0, checkpoint)
            assert tail is not None
            assert (tail.position, tail.token) == (6, last.token)
            async with aclosing(destination.read_back(0, known, tail)) as stored:  # type: ignore[type-var]
                assert [pair async for pair in stored] == []
        assert (await refused(destination, 4, known)).why == "moved"
        await store(destination, 7, 8, last)
        assert positions(place) == [7, 8]


async def test_what_is_removed_behind_the_relay_is_noticed_and_nothing_is_appended(place: Place) -> None:
    """Finding 34, fault 14: the key, the stream, the table or the file is deleted."""
    async with opened(place) as destination:
        last = await store(destination, 1, 3, None)
        place.destroy()
        assert not isinstance(await destination.append(0, messages(4, 5), last), Stored)
        with suppress(TailLost):
            assert await destination.tail(0, last) is None
    with pytest.raises(TailLost, match="is gone"):
        async with opened(place, fresh=False):
            pass
    async with opened(place, fresh=True) as destination:  # somebody decided that delivering begins anew
        await store(destination, 1, 2, None)
    assert positions(place) == [1, 2]


@pytest.mark.parametrize("place", [NatsPlace], indirect=True, ids=["nats"])
async def test_a_message_that_is_too_large_is_refused_alone_and_divides_a_batch(place: Place) -> None:
    async with opened(place) as destination:
        batch = [message(1), message(2, data=json.dumps("x" * 2_000_000))]
        outcome = await destination.append(0, batch, None)
        assert isinstance(outcome, Refused)
        assert outcome.why == "batch"
        last = await store(destination, 1, 1, None)
        outcome = await destination.append(0, batch[1:], last)
        assert isinstance(outcome, Refused)
        assert outcome.why == "message"
        assert positions(place) == [1]


# -- a bad network


@served
async def test_fault_12_an_answer_that_is_lost_leaves_doubt_and_the_tail_tells(place: Place) -> None:
    with Proxy(place.port) as proxy:
        async with opened(place, port=proxy.port) as destination:
            first = await store(destination, 1, 3, None)
            proxy.down.mode = "drop"
            seen = proxy.down.seen
            append = asyncio.create_task(destination.append(0, messages(4, 6), first))
            await asyncio.to_thread(proxy.wait_seen, proxy.down, seen + 1)
            proxy.cut_clients()
            assert isinstance(await append, InDoubt)
            proxy.down.mode = "flow"
            tail = await destination.tail(0, first)
            assert tail is not None
            assert tail.position == 6
            assert (await refused(destination, 4, first)).why == "moved"
            await store(destination, 7, 8, tail)
    assert positions(place) == [1, 2, 3, 4, 5, 6, 7, 8]


@served
@pytest.mark.parametrize("heir_appends", [True, False])
async def test_fault_5_bytes_of_a_dead_relay_that_arrive_after_its_heir_has_begun(
    place: Place, *, heir_appends: bool
) -> None:
    with Proxy(place.port) as proxy:
        async with opened(place, port=proxy.port) as dead, opened(place) as heir:
            first = await store(dead, 1, 3, None)
            proxy.up.mode = "hold"
            seen = proxy.up.seen
            append = asyncio.create_task(dead.append(0, messages(4, 6), first))
            await asyncio.to_thread(proxy.wait_seen, proxy.up, seen + 200)
            await asyncio.sleep(0.02)
            proxy.cut_clients()
            assert isinstance(await append, InDoubt)
            tail = await heir.tail(0, first)
            assert tail is not None
            assert tail.position == 3
            if heir_appends:
                await store(heir, 4, 5, tail)
            proxy.up.mode = "flow"
            await asyncio.to_thread(proxy.wait_passed_on, proxy.up)
            found = await _tail_when_it_moves(heir, tail_at(5, "") if heir_appends else tail)
            if not heir_appends:  # it looked in vain, and is refused in its turn
                assert (await refused(heir, 4, tail)).why == "moved"
            assert found.position == (5 if heir_appends else 6)
    assert positions(place) == list(range(1, 6 if heir_appends else 7))


async def _tail_when_it_moves(destination: Destination, known: Tail) -> Tail:
    """The tail once it is no longer the known one, or some time later if it stays."""
    for _ in range(20):
        found = await destination.tail(0, None)
        assert found is not None
        if found.position != known.position:
            break
        await asyncio.sleep(0.005)
    assert found is not None
    return found


@served
@pytest.mark.parametrize("way", ["up", "down"])
async def test_fault_12_a_connection_cut_at_any_byte_leaves_all_of_a_batch_or_nothing(place: Place, way: str) -> None:
    async with opened(place) as direct:
        last = await store(direct, 1, 1, None)
        with Proxy(place.port) as proxy:
            for budget in (1, 100, 900, 1500):
                async with opened(place, port=proxy.port) as destination:
                    getattr(proxy, way).budget = budget
                    outcome = await destination.append(0, messages(last.position + 1, last.position + 5), last)
                    getattr(proxy, way).budget = None
                found = await direct.tail(0, last)
                assert found is not None
                assert found.position in (
                    {last.position + 5} if isinstance(outcome, Stored) else {last.position, last.position + 5}
                )
                last = found
    assert positions(place) == list(range(1, last.position + 1))


@served
async def test_a_destination_that_is_down_is_said_and_leaves_doubt(place: Place) -> None:
    with Proxy(place.port) as proxy:
        async with opened(place, port=proxy.port) as destination:
            last = await store(destination, 1, 1, None)
            proxy.__exit__()
            assert isinstance(await destination.append(0, messages(2, 3), last), InDoubt)
            with pytest.raises(DestinationUnavailable, match="cannot be reached"):
                await destination.tail(0, last)
        again = place.destination(port=proxy.port)
        with pytest.raises(DestinationUnavailable, match="cannot be reached") as raised:
            await again.open(OWNER, fresh=True)
        assert raised.value.hint is not None
        await again.close()


@served
async def test_fault_11_a_server_killed_and_started_again_and_credentials_that_are_wrong(place: Place) -> None:
    place.use_own_server()
    assert place.server is not None
    async with opened(place) as destination:
        last = await store(destination, 1, 3, None)
        for _ in range(2):
            place.server.kill()
            outcome = await destination.append(0, messages(last.position + 1, last.position + 3), last)
            place.server.start()
            with suppress(DestinationUnavailable):  # the first to use a connection finds out that it is dead
                await destination.tail(0, last)
            found = await destination.tail(0, last)
            assert found is not None
            # A backend of Postgres may outlive its postmaster for a moment, and store what it was given.
            assert found.position - last.position in ({3} if isinstance(outcome, Stored) else {0, 3})
            assert isinstance(outcome, InDoubt | Stored)
            last = await store(destination, found.position + 1, found.position + 3, found)
    assert positions(place) == list(range(1, last.position + 1))
    await _wrong_credentials(place, place.write_credentials("alice:wr0ng" if isinstance(place, NatsPlace) else "wr0ng"))


async def _wrong_credentials(place: Place, wrong: Path) -> None:
    destination = place.destination(credentials=wrong)
    with pytest.raises(RelayError) as raised:
        await destination.open(OWNER, fresh=False)
    assert isinstance(raised.value, DestinationUnavailable)
    assert "refuses the credentials" in str(raised.value)
    assert "--credentials FILE" in str(raised.value.hint)
    assert "wr0ng" not in f"{raised.value} {raised.value.hint}"
    await destination.close()
