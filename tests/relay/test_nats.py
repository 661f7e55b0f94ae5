"""What is JetStream's own: findings 27 to 29. Its settings (31) are tried in test_run.py, its replicas (30) in test_chaos.py."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import pytest

from relay.destinations.base import Refused, Stored
from relay.destinations.nats import Nats
from relay.errors import DestinationRefused
from tests.relay.places import NatsPlace
from tests.relay.support import jetstream, raw_stream
from tests.relay.test_destinations import OWNER, messages, opened, positions, store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from journal.embedded import NatsServer
    from relay.destinations.base import Destination

pytestmark = pytest.mark.parametrize("place", [NatsPlace], indirect=True, ids=["nats"])


def server_of(destination: Destination) -> Any:
    assert isinstance(destination, Nats)
    return destination._server


def _beside(place: NatsPlace) -> NatsPlace:
    other = copy(place)
    other.name = f"{place.name}_beside"
    return other


async def test_finding_27_a_write_of_others_inside_an_open_batch_refuses_it_whole(
    place: NatsPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(place) as destination:
        last = await store(destination, 1, 3, None)
        publish = server_of(destination).publish

        async def interrupted(subject: str, payload: bytes, headers: dict[str, str]) -> None:
            await publish(subject, payload, headers)
            if headers["Nats-Batch-Sequence"] == "2":
                place.write_foreign()

        monkeypatch.setattr(server_of(destination), "publish", interrupted)
        outcome = await destination.append(0, messages(4, 8), last)
        assert isinstance(outcome, Refused)
        assert outcome.why == "moved"
    assert len(raw_stream(place.server_url, place.name)) == 4


async def test_finding_27_a_batch_that_lost_a_message_on_the_way_is_refused_whole(
    place: NatsPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(place) as destination:
        last = await store(destination, 1, 3, None)
        publish = server_of(destination).publish

        async def lossy(subject: str, payload: bytes, headers: dict[str, str]) -> None:
            if headers["Nats-Batch-Sequence"] != "2":
                await publish(subject, payload, headers)

        monkeypatch.setattr(server_of(destination), "publish", lossy)
        outcome = await destination.append(0, messages(4, 8), last)
        assert not isinstance(outcome, Stored)
        monkeypatch.undo()
        assert positions(place) == [1, 2, 3]
        await store(destination, 4, 8, last)


async def test_finding_27_a_batch_is_as_large_as_the_server_takes(place: NatsPlace) -> None:
    destination = place.destination()
    limits = await destination.open(OWNER, fresh=True)
    assert limits.batch_messages == 1000
    await destination.tail(0, None)
    last = await store(destination, 1, 1000, None)
    outcome = await destination.append(0, messages(1001, 2001), last)
    assert isinstance(outcome, Refused)
    assert outcome.why == "batch"
    await destination.close()
    assert positions(place) == list(range(1, 1001))


async def test_finding_27_a_stream_that_is_full_takes_nothing_of_a_batch(place: NatsPlace, nats: NatsServer) -> None:
    async with opened(place) as destination:
        last = await store(destination, 1, 3, None)
        config = jetstream(nats.url, f"STREAM.INFO.{place.name}")["config"]
        jetstream(nats.url, f"STREAM.UPDATE.{place.name}", {**config, "max_msgs": 5})
        outcome = await destination.append(0, messages(4, 8), last)
        assert isinstance(outcome, Refused), outcome
        assert outcome.why == "busy"
        assert positions(place) == [1, 2, 3]
        jetstream(nats.url, f"STREAM.UPDATE.{place.name}", config)
        await store(destination, 4, 8, last)


async def test_finding_28_no_message_id_is_sent_whose_window_would_swallow_it(place: NatsPlace) -> None:
    async with opened(place) as destination:
        await store(destination, 1, 3, None)
    assert all("Nats-Msg-Id" not in headers for headers, _ in raw_stream(place.server_url, place.name))


async def test_finding_31_a_sealed_stream_and_a_mirror_are_refused(place: NatsPlace, nats: NatsServer) -> None:
    async with opened(place):
        pass
    other = _beside(place)
    jetstream(nats.url, f"STREAM.CREATE.{other.name}", {"name": other.name, "mirror": {"name": place.name}})
    config = jetstream(nats.url, f"STREAM.INFO.{place.name}")["config"]
    jetstream(nats.url, f"STREAM.UPDATE.{place.name}", {**config, "sealed": True, "deny_purge": True})
    for refused, reason in ((place, "is sealed"), (other, "mirrors other streams")):
        destination = refused.destination()
        with pytest.raises(DestinationRefused, match=reason):
            await destination.open(OWNER, fresh=False)
        await destination.close()


async def test_a_guard_that_does_not_work_is_found_at_the_start(
    place: NatsPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some servers have had it broken: the probe must see it."""
    destination = place.destination()
    request = server_of(destination).request

    async def unguarded(subject: str, payload: bytes, headers: dict[str, str] | None = None) -> Mapping[str, Any]:
        kept = {name: value for name, value in (headers or {}).items() if "Expected" not in name}
        answer: Mapping[str, Any] = await request(subject, payload, kept or None)
        return answer

    monkeypatch.setattr(server_of(destination), "request", unguarded)
    with pytest.raises(DestinationRefused, match="stored a message that it had to refuse"):
        await destination.open(OWNER, fresh=True)
    await destination.close()
