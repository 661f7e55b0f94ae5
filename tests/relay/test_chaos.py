"""Faults at random, all kinds together: relays that die, sleep and pile up, networks that hold, drop, delay and cut, on both sides,
brokers and databases that are killed; in the end the oracle.

A few seconds here; `make chaos MINUTES=30 SEED=7` for long. A seed repeats the faults in their order; the timing is the system's.
"""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from journal.migrate import migrate
from tests import rig
from tests.relay.oracle import judge
from tests.relay.places import PLACES, NatsClusterPlace
from tests.relay.proxy import Proxy
from tests.relay.support import Producers, QuickRelay, committed, make_counters, relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from journal.embedded import PostgresServer
    from journal.embedded.server import Server
    from tests.relay.places import Place

MINUTES = float(os.environ.get("CHAOS_MINUTES", "0"))
SEED = int(os.environ.get("SEED") or (random.randrange(2**32) if MINUTES else 1))
KINDS = (*PLACES, NatsClusterPlace) if MINUTES else PLACES
SECONDS = MINUTES * 60 / len(KINDS) if MINUTES else 1.5
RELAYS = 3
# Done, could not start, and told to end: before it listened, while it listened, twice, and by force.
_ENDS = {0, 1, -signal.SIGTERM, 128 + signal.SIGTERM, -signal.SIGKILL}

pytestmark = pytest.mark.parametrize("place", KINDS, indirect=True, ids=lambda kind: kind.kind)


@pytest.fixture
def source(request: pytest.FixtureRequest) -> Iterator[tuple[str, PostgresServer | None]]:
    """The database; in a long run on a server of its own, which is killed now and then."""
    if not MINUTES:
        yield request.getfixturevalue("dsn"), None
        return
    with rig.start_server() as server:
        migrate(server.dsn())
        yield server.dsn(), server


@pytest.mark.long
def test_random_faults_lose_and_repeat_nothing(
    place: Place, source: tuple[str, PostgresServer | None], tmp_path: Path
) -> None:
    dsn, postgres = source
    with psycopg.connect(dsn, autocommit=True) as conn:
        make_counters(conn)
    if MINUTES:
        place.use_own_server()
    with Chaos(place, dsn, postgres, tmp_path) as chaos, Producers(dsn, seed=SEED, pause=0.002, survive=True):
        chaos.run(SECONDS)
    _drain_in_the_end(dsn, place)
    with psycopg.connect(dsn) as conn:
        everything = committed(conn)
    print(f"{sum(everything.values())} messages, {len(chaos.history)} faults, seed {SEED}")  # noqa: T201
    assert sum(everything.values()) > 100
    judge(everything, place.arrived())


def _drain_in_the_end(dsn: str, place: Place) -> None:
    """Three replicas may be without a leader still."""
    for _ in range(10):
        code, _, said = relay(dsn, "run", place.url, "--drain", *place.options())
        if code != 1:
            break
    assert code == 0, said


class Chaos:
    """Relays between two proxies, and what happens to all of them. A context manager."""

    def __init__(self, place: Place, dsn: str, postgres: PostgresServer | None, folder: Path) -> None:
        self._place = place
        self._dsn = dsn
        self._postgres = postgres
        self._folder = folder
        self._chance = random.Random(SEED)
        self._relays: list[QuickRelay] = []
        self._proxies: list[Proxy] = []
        self._url = place.url
        self.history: list[str] = []

    def __enter__(self) -> Chaos:
        self._stack = ExitStack()
        parts = urlsplit(self._dsn)
        proxy = self._proxy(int(parts.port or 0))
        user, _, _ = parts.netloc.rpartition("@")
        self._proxied = urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{proxy.port}"))
        if self._place.port:
            self._url = self._place.through(self._proxy(self._place.port).port)
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._relays:
            one.__exit__()
        self._stack.close()

    def _proxy(self, port: int) -> Proxy:
        proxy = self._stack.enter_context(Proxy(port))
        self._proxies.append(proxy)
        return proxy

    def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._replace_relays()
            fault = self._chance.choice(self._faults())
            self.history.append(fault.__name__)
            fault()
            time.sleep(self._chance.uniform(0.02, 0.25))

    def _faults(self) -> list[Callable[[], None]]:
        common = [self._kill_relay, self._put_relay_to_sleep, self._end_relay, self._terminate_backends]
        network = [self._hold, self._lose_answers, self._delay, self._cut]
        servers = [self._kill_server, self._pause_server, *self._place.own_faults()] if MINUTES else []
        return [*common, *network, *servers]

    def _replace_relays(self) -> None:
        """As a supervisor does. Only what a person has to decide ends a relay: it must not happen here."""
        for ended in [one for one in self._relays if not one.running]:
            code = ended.wait()
            assert code in _ENDS, f"exit {code} after {self.history[-20:]}, seed {SEED}: {ended.said()}"
            self._relays.remove(ended)
            ended.__exit__()
        while len(self._relays) < RELAYS:
            self._relays.append(QuickRelay(self._proxied, self._url, self._place.credentials, lease=0.4))

    def _any_relay(self) -> QuickRelay:
        return self._chance.choice(self._relays)

    def _some_time(self) -> None:
        time.sleep(self._chance.uniform(0.05, 0.6))

    # -- relays

    def _kill_relay(self) -> None:
        self._any_relay().signal(signal.SIGKILL)

    def _put_relay_to_sleep(self) -> None:
        """For longer than its lease, now and then."""
        sleeper = self._any_relay()
        sleeper.signal(signal.SIGSTOP)
        self._some_time()
        sleeper.signal(signal.SIGCONT)

    def _end_relay(self) -> None:
        self._any_relay().signal(signal.SIGTERM)

    def _terminate_backends(self) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as conn:
            conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'relay %'")

    # -- networks

    def _hold(self) -> None:
        """Bytes on their way arrive when their sender is gone."""
        way = self._chance.choice(self._proxies).up
        way.mode = "hold"
        self._some_time()
        if self._chance.random() < 0.7:
            self._kill_relay()
        way.mode = "flow"

    def _lose_answers(self) -> None:
        proxy = self._chance.choice(self._proxies)
        proxy.down.mode = "drop"
        self._some_time()
        proxy.cut_clients()
        proxy.down.mode = "flow"

    def _delay(self) -> None:
        way = self._chance.choice([way for proxy in self._proxies for way in (proxy.up, proxy.down)])
        way.delay = 0.02
        self._some_time()
        way.delay = 0.0

    def _cut(self) -> None:
        self._chance.choice(self._proxies).cut_clients()

    # -- servers

    def _servers(self) -> list[Server]:
        return [server for server in (self._place.server, self._postgres) if server is not None]

    def _kill_server(self) -> None:
        server = self._chance.choice(self._servers())
        server.kill()
        self._some_time()
        server.start()

    def _pause_server(self) -> None:
        server = self._chance.choice(self._servers())
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        self._some_time()
        os.kill(server.pid, signal.SIGCONT)
