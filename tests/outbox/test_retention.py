"""Partitions come before they are needed and go when every destination is past them; nothing unread goes, and nobody waits."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest

from relay.pace import Pace
from relay.run import Options, Relay
from tests.outbox.support import publish, scalar, seal
from tests.relay.support import drain, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.outbox.support import Connection

NOW = timedelta(0)


@pytest.fixture(autouse=True)
def small_partitions(conn: Connection) -> None:
    """A first partition of ten messages; the next ones are made as tests ask for them."""
    owner = scalar(conn, "select pg_get_userbyid(relowner) from pg_class where oid = 'outbox.message'::regclass")
    conn.execute(f'set role "{owner}"')
    conn.execute("alter table outbox.message detach partition outbox.message_1")
    conn.execute("alter table outbox.message attach partition outbox.message_1 for values from (minvalue) to (11)")
    conn.execute("reset role")


def register(conn: Connection, name: str, started_from: str = "start") -> None:
    conn.execute("select relay.register(%s, 'stdout:', 'D', 1000000, started_from => %s)", [name, started_from])


def pass_through(conn: Connection, name: str, until: int) -> None:
    """What a relay stores once everything up to a seal is delivered."""
    epoch, before = scalar(
        conn, "select (l.epoch, l.position) from relay.take_lane(%s, 0, %s, 'test', '1 ms') as l", [name, uuid4()]
    )
    passed = scalar(conn, "select relay.position_of(%s, 0, %s, 1000000)", [name, until])
    done = conn.execute(
        "select * from relay.checkpoint(%s, 0, %s, '1 ms', %s, %s, %s, %s, 0, 0, null, '', false)",
        [name, int(epoch), int(before), until, passed, passed],
    ).fetchall()
    assert done
    conn.execute("select pg_sleep(0.002)")


def prune(conn: Connection) -> str | None:
    found: str | None = scalar(conn, "select relay.prune(%s)::text", [NOW])
    return found


def publish_each_sealed(conn: Connection, count: int) -> None:
    for _ in range(count):
        publish(conn, key="k")
        seal(conn)


def test_the_next_partition_is_made_before_it_is_needed(conn: Connection) -> None:
    publish_each_sealed(conn, 4)
    assert scalar(conn, "select outbox.rotate(10)") is None
    publish_each_sealed(conn, 3)
    assert scalar(conn, "select outbox.rotate(10)::text") == "outbox.message_11"
    publish_each_sealed(conn, 5)
    assert scalar(conn, "select count(*) from outbox.message_default") == 0
    assert scalar(conn, "select count(*) from outbox.message_11") == 2


def test_messages_that_came_without_a_partition_are_taken_and_the_next_one_begins_later(conn: Connection) -> None:
    publish_each_sealed(conn, 12)
    assert scalar(conn, "select outbox.rotate(10)::text") == "outbox.message_14"
    publish_each_sealed(conn, 3)
    rows = conn.execute(
        "select tableoid::regclass::text, count(*) from outbox.message group by 1 order by 1"
    ).fetchall()
    assert rows == [("outbox.message_1", 10), ("outbox.message_14", 2), ("outbox.message_default", 3)]


def test_a_partition_goes_when_every_destination_is_past_it(conn: Connection) -> None:
    register(conn, "fast")
    register(conn, "slow")
    publish_each_sealed(conn, 7)
    scalar(conn, "select outbox.rotate(10)")
    publish_each_sealed(conn, 5)
    pass_through(conn, "fast", 12)
    assert prune(conn) is None
    pass_through(conn, "slow", 9)
    assert prune(conn) is None
    pass_through(conn, "slow", 11)
    assert prune(conn) == "outbox.message_1"
    assert prune(conn) is None
    assert scalar(conn, "select min(no) from outbox.seal") == 10
    assert scalar(conn, "select behind from relay.lag where destination = 'slow'") == 1
    assert (
        scalar(conn, "select position from relay.deliveries where destination = 'slow' order by 1 desc limit 1") == 12
    )


def test_it_is_kept_for_seven_days_after_the_slowest(conn: Connection) -> None:
    register(conn, "one")
    publish_each_sealed(conn, 12)
    pass_through(conn, "one", 12)
    assert scalar(conn, "select relay.prune()") is None
    conn.execute("update relay.mark set marked_at = marked_at - interval '8 days'")
    assert scalar(conn, "select relay.prune()::text") == "outbox.message_1"


def test_without_a_destination_nothing_goes(conn: Connection) -> None:
    publish_each_sealed(conn, 12)
    assert prune(conn) is None


def test_a_destination_that_comes_later_begins_with_what_is_there(conn: Connection, dsn: str, tmp_path: Path) -> None:
    register(conn, "one")
    publish_each_sealed(conn, 12)
    pass_through(conn, "one", 12)
    assert prune(conn) == "outbox.message_1"
    drain(dsn, f"file://{tmp_path}/out", "--name", "late")
    assert len((tmp_path / "out").read_bytes().splitlines()) == 2


def test_a_held_or_parked_message_keeps_its_partition(conn: Connection) -> None:
    register(conn, "one")
    held = publish(conn, hold="1h")
    publish_each_sealed(conn, 12)
    pass_through(conn, "one", 12)
    assert prune(conn) is None
    conn.execute(
        "insert into outbox.cancellation (id, rollback_id) select id, message_id from outbox.message where message_id = %s",
        [held],
    )
    publish_each_sealed(conn, 1)
    conn.execute(
        "insert into relay.park (destination, lane, seal, place, message_id, topic, key, attempts, error,"
        " first_failed_at, disposition)"
        " select 'one', 0, 3, 4, message_id, topic, key, 1, 'x', now(), 'parked' from outbox.message where id = 4"
    )
    pass_through(conn, "one", 13)
    assert prune(conn) is None
    conn.execute("select relay.retry('one')")
    assert prune(conn) is None
    pass_through(conn, "one", scalar(conn, "select max(no) from outbox.seal"))
    assert prune(conn) == "outbox.message_1"


def test_fault_19_a_partition_drop_races_a_slow_writer(conn: Connection, dsn: str) -> None:
    """The writer's number is old, its commit is late: the drop does not wait for it, nobody waits for the drop, nothing is lost."""
    register(conn, "one")
    with psycopg.connect(dsn) as slow:
        late = publish(slow, "late")
        publish_each_sealed(conn, 11)
        pass_through(conn, "one", 11)
        began = time.monotonic()
        assert prune(conn) is None
        assert time.monotonic() - began < 2
        slow.commit()
    assert prune(conn) is None
    seal(conn)
    assert scalar(conn, "select status from relay.deliveries where message_id = %s", [late]) == "waiting"
    pass_through(conn, "one", 12)
    assert prune(conn) == "outbox.message_1"


def test_a_writer_waits_no_longer_than_for_a_lock_to_change_hands(conn: Connection, dsn: str) -> None:
    register(conn, "one")
    publish_each_sealed(conn, 11)
    pass_through(conn, "one", 11)
    longest, stop = [0.0], threading.Event()

    def write() -> None:
        with psycopg.connect(dsn, autocommit=True) as other:
            while not stop.is_set():
                began = time.monotonic()
                publish(other)
                longest[0] = max(longest[0], time.monotonic() - began)

    writer = threading.Thread(target=write)
    with psycopg.connect(dsn) as slow:
        publish(slow)
        writer.start()
        for _ in range(3):
            assert prune(conn) is None
        slow.rollback()
    wait_until(lambda: prune(conn) is not None)
    stop.set()
    writer.join()
    assert longest[0] < 0.5


async def test_a_relay_that_runs_tends_the_partitions(conn: Connection, dsn: str, tmp_path: Path) -> None:
    publish_each_sealed(conn, 6)
    relay = Relay(Options(dsn, f"file://{tmp_path}/out", pace=Pace(tending=0.02)), lambda _: None)
    running = asyncio.create_task(relay.run())
    made = "select to_regclass('outbox.message_11') is not null"
    await asyncio.to_thread(wait_until, lambda: scalar(conn, made))
    publish_each_sealed(conn, 6)
    await asyncio.to_thread(wait_until, lambda: _lines(tmp_path / "out") == 12)
    relay.stop()
    await running
    conn.execute("update relay.mark set marked_at = marked_at - interval '8 days'")
    assert scalar(conn, "select relay.prune()") == "outbox.message_1"


async def test_a_relay_whose_tending_fails_delivers_on(
    conn: Connection, dsn: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    owner = scalar(conn, "select pg_get_userbyid(relowner) from pg_class where oid = 'outbox.message'::regclass")
    conn.execute(f'set role "{owner}"')
    conn.execute("drop function outbox.partitions() cascade")
    conn.execute("reset role")
    relay = Relay(Options(dsn, f"file://{tmp_path}/out", pace=Pace(tending=0.01)), lambda _: None)
    running = asyncio.create_task(relay.run())
    publish_each_sealed(conn, 1)
    await asyncio.to_thread(wait_until, lambda: _lines(tmp_path / "out") == 1)
    await asyncio.to_thread(wait_until, lambda: "could not be looked after" in caplog.text)
    publish_each_sealed(conn, 1)
    await asyncio.to_thread(wait_until, lambda: _lines(tmp_path / "out") == 2)
    relay.stop()
    await running


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
