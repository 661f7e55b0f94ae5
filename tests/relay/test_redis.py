"""What is Redis' own: findings 32 to 35, and the settings that would break the guarantee."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from journal.embedded.server import free_port
from relay.destinations.base import InDoubt, Refused, Stored
from relay.errors import DestinationRefused, DestinationUnavailable, ForeignWriter, TailLost
from tests.redis_server import RedisServer, start_redis
from tests.relay.oracle import judge
from tests.relay.places import RedisPlace
from tests.relay.support import Connection, committed, drain, made_certificate, make_counters, produce
from tests.relay.test_destinations import LINEAGE, OWNER, message, messages, opened, positions, refused, store, tail_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.relay.places import Place

pytestmark = pytest.mark.parametrize("place", [RedisPlace], indirect=True, ids=["redis"])


@pytest.fixture
def client(redis: RedisServer) -> Iterator[Any]:
    with closing(redis.client()) as made:
        yield made


@pytest.fixture
def settings(client: Any) -> Iterator[Any]:
    """Change settings of the server; they are put back."""
    before: dict[str, str] = {}

    def change(name: str, value: str) -> None:
        before.setdefault(name, client.config_get(name)[name])
        client.config_set(name, value)

    yield change
    for name, value in before.items():
        client.config_set(name, value)


# -- finding 32: memory


async def test_finding_32_out_of_memory_is_refused_before_the_first_write_and_halves_the_batch(
    place: Place, client: Any, settings: Any
) -> None:
    async with opened(place) as destination:
        last = await store(destination, 1, 5, None)
        used = client.info("memory")["used_memory"]
        large = [message(n, data=json.dumps("x" * 100_000)) for n in range(6, 16)]
        settings("maxmemory", str(used // 2))
        for batch, why in ((large, "batch"), (large[:1], "busy")):
            outcome = await destination.append(0, batch, last)
            assert isinstance(outcome, Refused)
            assert (outcome.why, "OOM" in outcome.reason) == (why, True)
        assert positions(place) == [1, 2, 3, 4, 5]
        settings("maxmemory", "0")
        assert isinstance(await destination.append(0, large, last), Stored)


async def test_finding_32_a_batch_that_began_with_room_is_stored_whole(
    place: Place, client: Any, settings: Any
) -> None:
    async with opened(place) as destination:
        batch = [message(n, data=json.dumps("x" * 10_000)) for n in range(1, 201)]
        settings("maxmemory", str(client.info("memory")["used_memory"] + 1_000_000))
        outcome = await destination.append(0, batch, None)
        assert len(positions(place)) == (200 if isinstance(outcome, Stored) else 0)


# -- finding 33: no error in the middle


async def test_finding_33_ids_are_checked_before_the_first_entry_is_added(place: Place) -> None:
    async with opened(place) as destination:
        last = await store(destination, 1, 3, None)
        for wrong in ([4, 5, 5], [4, 6, 5], [3, 4]):
            outcome = await destination.append(0, [message(n) for n in wrong], last)
            assert isinstance(outcome, InDoubt)
            assert "malformed" in outcome.reason
        assert positions(place) == [1, 2, 3]


async def test_finding_33_the_key_of_another_type_is_left_alone(place: Place, client: Any) -> None:
    async with opened(place) as destination:
        last = await store(destination, 1, 3, None)
        client.delete(place.name)
        client.set(place.name, "theirs")
        assert "holds a string" in (await refused(destination, 4, last)).reason
        with pytest.raises(ForeignWriter, match="is no stream"):
            await destination.tail(0, last)
    assert client.get(place.name) == b"theirs"


# -- finding 34: what moves the tail


async def test_finding_34_the_first_batch_of_a_dead_relay_is_refused_after_the_stream_is_gone(
    place: Place, client: Any
) -> None:
    async with opened(place) as destination:
        await store(destination, 1, 3, None)
        client.delete(place.name)
        assert "is gone" in (await refused(destination, 1, None)).reason
        client.flushdb()
        assert (await refused(destination, 1, None)).why == "moved"


@pytest.mark.parametrize("trimmed", [True, False])
async def test_finding_34_a_last_id_that_was_moved_with_nothing_delivered_is_not_believed(
    place: Place, client: Any, *, trimmed: bool
) -> None:
    async with opened(place) as destination:
        last = await store(destination, 1, 3, None)
        if trimmed:
            place.consume_all()
        client.execute_command("XSETID", place.name, last.token.replace("-3", "-9"))
        with pytest.raises(TailLost, match="an append wrote"):
            await destination.tail(0, last)


async def test_finding_34_an_entry_of_somebody_else_that_was_deleted_is_noticed(place: Place, client: Any) -> None:
    async with opened(place) as destination:
        last = await store(destination, 1, 3, None)
        client.xdel(place.name, client.xadd(place.name, {"theirs": "1"}))
        with pytest.raises(ForeignWriter, match="was not given by this relay"):
            await destination.tail(0, last)


async def test_finding_34_entries_that_consumers_delete_one_by_one_leave_the_tail(place: Place, client: Any) -> None:
    async with opened(place) as destination:
        last = await store(destination, 1, 3, None)
        client.xdel(place.name, last.token)
        tail = await destination.tail(0, None)
        assert tail is not None
        assert (tail.position, tail.message_id, tail.token) == (3, None, last.token)


@pytest.mark.parametrize("field", ["owner", "generation"])
async def test_a_relay_killed_while_it_wrote_its_mark_leaves_nothing_that_stops_the_next(
    place: Place, client: Any, field: str
) -> None:
    client.hset(f"{{{place.name}}}:owner", field, {"owner": OWNER.mark, "generation": "1790000000000"}[field])
    async with opened(place) as destination:
        await store(destination, 1, 3, None)


# -- finding 35: ids


async def test_finding_35_every_relay_gives_a_message_the_same_id(place: Place, client: Any) -> None:
    async with opened(place) as one:
        last = await store(one, 1, 1, None)
        async with opened(place) as two:
            await store(two, 2, 3, tail_at(1, last.token))
    ids = [entry_id.decode() for entry_id, _ in client.xrange(place.name)]
    generation = ids[0].partition("-")[0]
    assert ids == [f"{generation}-{n}" for n in (1, 2, 3)]
    assert abs(int(generation) - client.time()[0] * 1000) < 60_000


async def test_finding_35_scripts_that_were_forgotten_are_sent_again(place: Place, client: Any) -> None:
    async with opened(place) as destination:
        last = await store(destination, 1, 3, None)
        client.script_flush()
        await store(destination, 4, 6, last)


async def test_an_entry_holds_the_attributes_by_their_names(place: Place, client: Any) -> None:
    async with opened(place) as destination:
        await destination.append(0, [message(1, headers='{"a": 1}')], None)
    ((_, fields),) = client.xrange(place.name)
    assert {name.decode(): value.decode() for name, value in fields.items()} == {
        "specversion": "1.0",
        "id": "00000000-0000-0000-0000-000000000001",
        "type": "order",
        "source": "/source",
        "time": "2026-11-22T03:04:05.678901Z",
        "lineage": LINEAGE,
        "lane": "0",
        "position": "1",
        "subject": "1",
        "partitionkey": "1",
        "topic": "orders.made",
        "headers": '{"a": 1}',
        "datacontenttype": "application/json",
        "data": '{"n": 1}',
    }


# -- settings


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("maxmemory-policy", "allkeys-lru", "may evict the stream"),
        ("maxmemory-policy", "allkeys-random", "may evict the stream"),
        ("appendonly", "no", "forgets what it acknowledged"),
        ("appendfsync", "no", "leaves the syncing"),
    ],
)
async def test_finding_34_unsafe_settings_are_refused_with_the_reason(
    place: Place, settings: Any, client: Any, name: str, value: str, reason: str
) -> None:
    settings(name, value)
    with pytest.raises(DestinationRefused, match=reason) as raised:
        async with opened(place):
            pass
    assert raised.value.hint is not None
    assert client.keys(f"*{place.name}*") == []


async def test_a_server_that_forgets_is_taken_on_request(place: Place, settings: Any) -> None:
    settings("appendonly", "no")
    found = type(place.destination())
    destination = found(found.parse(f"{place.url}&durability=accepted"))
    await destination.open(OWNER, fresh=True)
    await destination.close()


async def test_settings_that_are_safe_are_taken_and_a_delayed_sync_is_told(place: Place, settings: Any) -> None:
    settings("maxmemory-policy", "volatile-lru")
    async with opened(place) as destination:
        assert "appendfsync everysec" in destination.notices[0]
    settings("appendfsync", "always")
    async with opened(place) as destination:
        assert destination.notices == []


async def test_the_largest_message_is_what_the_server_takes(place: Place, settings: Any) -> None:
    """A larger one would cut the connection, a poison that looks like a bad network; so it is refused where it is published."""
    settings("proto-max-bulk-len", "1048576")
    destination = place.destination()
    assert (await destination.open(OWNER, fresh=True)).message_bytes == 1_048_576
    just = message(1, data=json.dumps("x" * (1_048_576 - 2)))
    assert isinstance(await destination.append(0, [just], None), Stored)
    await destination.close()


async def test_a_replica_and_a_key_that_expires_are_refused(place: Place, redis: RedisServer, client: Any) -> None:
    client.execute_command("REPLICAOF", "127.0.0.1", str(redis.port))
    with pytest.raises(DestinationRefused, match="is a replica"):
        async with opened(place):
            pass
    client.execute_command("REPLICAOF", "NO", "ONE")
    async with opened(place) as destination:
        await store(destination, 1, 1, None)
    client.expire(place.name, 1000)
    with pytest.raises(DestinationRefused, match="expires"):
        async with opened(place, fresh=False):
            pass


async def test_an_account_without_rights_and_a_cluster_are_refused(place: Place, client: Any) -> None:
    client.execute_command("ACL", "SETUSER", "narrow", "on", ">s3cret", "~*", "+info", "+hgetall")
    destination = place.destination(credentials=place.write_credentials("narrow:s3cret"))
    with pytest.raises(DestinationRefused, match="NOPERM"):
        await destination.open(OWNER, fresh=True)
    await destination.close()
    with start_redis(cluster_enabled="yes", cluster_port=str(free_port())) as cluster:
        destination = place.destination(port=cluster.port)
        with pytest.raises(DestinationRefused, match="is a cluster"):
            await destination.open(OWNER, fresh=True)
        await destination.close()


async def test_a_connection_is_encrypted_and_its_certificate_checked(place: Place, tmp_path: Path) -> None:
    certificate, key, port = *made_certificate(tmp_path), free_port()
    files = {"tls_cert_file": str(certificate), "tls_key_file": str(key), "tls_ca_cert_file": str(certificate)}
    with start_redis(tls_port=str(port), tls_auth_clients="no", **files):
        url = f"rediss://127.0.0.1:{port}/0?stream={place.name}"
        found = type(place.destination())
        trusting = found(found.parse(f"{url}&ca={certificate}"))
        await trusting.open(OWNER, fresh=True)
        assert isinstance(await trusting.append(0, messages(1, 2), None), Stored)
        await trusting.close()
        with pytest.raises(DestinationUnavailable, match="is not trusted"):
            await found(found.parse(url)).open(OWNER, fresh=False)


def test_lanes_are_keys_of_their_own_and_a_key_keeps_its_lane(
    place: RedisPlace, client: Any, dsn: str, conn: Connection
) -> None:
    make_counters(conn)
    for _ in range(2):
        produce(conn, 400)
        drain(dsn, f"{place.url}&lanes=3")
    lanes = [[event.arrived() for event in place.events(f"{place.name}-{lane}")] for lane in range(3)]
    assert sorted(key.decode() for key in client.keys(f"{place.name}*")) == [f"{place.name}-{n}" for n in range(3)]
    everything = committed(conn)
    keys = [{one.key for one in lane} for lane in lanes]
    assert set.union(*keys) == everything.keys()
    for lane, mine in zip(lanes, keys, strict=True):
        judge({key: n for key, n in everything.items() if key in mine}, lane)
