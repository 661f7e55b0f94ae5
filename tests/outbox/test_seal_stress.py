"""Producers, sealers and rollbacks at once: nothing is lost, repeated, out of order, or both sealed and cancelled."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.outbox.support import column, open_session, publish, scalar, seal, take_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.outbox.support import Connection

SECONDS = 3.0
KEYS = 8


class Chaos:
    """Threads that work until the time is up; the first error of any of them is raised at the end."""

    def __init__(self, dsn: str, seed: int) -> None:
        self.dsn = dsn
        self.seed = seed
        self.until = time.monotonic() + SECONDS
        self.errors: list[BaseException] = []
        self.sessions: list[UUID] = []

    def run(self, *workers: Callable[[Connection, random.Random], None]) -> None:
        threads = [threading.Thread(target=self._work, args=(worker, n)) for n, worker in enumerate(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def _work(self, worker: Callable[[Connection, random.Random], None], number: int) -> None:
        chance = random.Random(self.seed * 100 + number)
        try:
            with psycopg.connect(self.dsn) as conn:
                conn.autocommit = True
                while time.monotonic() < self.until and not self.errors:
                    worker(conn, chance)
        except BaseException as error:  # noqa: BLE001  a thread's error must reach the test
            self.errors.append(error)

    def produce(self, conn: Connection, chance: random.Random) -> None:
        """One transaction of a few messages, in key order so that producers do not deadlock; some abort."""
        session_id = open_session(conn)
        try:
            with conn.transaction():
                conn.execute("select journal.bind(%s)", [session_id])
                for key in sorted(chance.sample(range(KEYS), chance.randint(1, 3))):
                    self._publish(conn, key, chance)
                if chance.random() < 0.15:
                    raise psycopg.Rollback
        finally:
            self.sessions.append(session_id)

    @staticmethod
    def _publish(conn: Connection, key: int, chance: random.Random) -> None:
        number = scalar(conn, "update counter set n = n + 1 where key = %s returning n", [key])
        hold = f"{chance.randint(1, 40)}ms" if chance.random() < 0.15 else None
        if chance.random() < 0.2:
            with conn.transaction():
                publish(conn, key=str(key), data=number, hold=hold)
        else:
            publish(conn, key=str(key), data=number, hold=hold)

    @staticmethod
    def seal(conn: Connection, chance: random.Random) -> None:
        seal(conn)
        if chance.random() < 0.05:
            conn.execute("select outbox.seal(wait => true)")

    def roll_back(self, conn: Connection, chance: random.Random) -> None:
        if not self.sessions:
            return
        chosen = chance.choice(self.sessions[-20:])
        with conn.transaction(force_rollback=chance.random() < 0.2):
            take_back(conn, chosen, rollback_id=uuid4())
            conn.execute("select pg_sleep(%s)", [chance.random() * 0.01])


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.long
def test_finding_16_sealing_and_rollback_are_linearised(dsn: str, conn: Connection, seed: int) -> None:
    conn.execute("create table counter (key int primary key, n int not null default 0)")
    conn.execute("insert into counter select generate_series(0, %s)", [KEYS - 1])
    chaos = Chaos(dsn, seed)
    producers = [chaos.produce] * 4
    chaos.run(*producers, chaos.seal, chaos.seal, chaos.roll_back)
    while scalar(conn, "select count(*) from outbox.backlog"):
        seal(conn)
    _check(conn)


def _check(conn: Connection) -> None:
    total = scalar(conn, "select count(*) from outbox.messages")
    members = conn.execute(
        "select seal, id, message_id, key, data::int from outbox.members(1, (select max(no) from outbox.seal)) order by seal, id"
    ).fetchall()
    ids = [row[2] for row in members]
    cancelled = set(column(conn, "select message_id from outbox.messages where status = 'cancelled'"))
    assert total > 100
    assert cancelled
    assert len(ids) == len(set(ids)), "repeated"
    assert not cancelled & set(ids), "sealed and cancelled"
    assert len(ids) + len(cancelled) == total, "neither sealed nor cancelled"
    for key in range(KEYS):
        numbers = [row[4] for row in members if row[3] == str(key)]
        assert numbers == sorted(numbers), f"order of key {key}"
    conn.execute("select outbox.verify_seals(1, (select max(no) from outbox.seal))")
    assert scalar(
        conn,
        "select bool_and(outbox.seal_of(m.id, x.xid) = m.seal) from outbox.members(1, 1000000) as m"
        " join outbox.message as x using (id)",
    )
    assert scalar(conn, "select max(no) - count(*) from outbox.seal") == -1, "numbers have gaps"
