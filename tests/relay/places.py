"""One class for each kind of destination: where it is, what it holds, and what others can do to it behind a relay's back.

A new destination enrols its tests here; the suites in test_destinations.py and test_faults.py run over all of them.
"""

from __future__ import annotations

import json
import random
import secrets
import shutil
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
from nats.errors import Error as NatsError
from psycopg import sql

from journal.embedded import start_nats
from journal.embedded.server import free_port
from relay.destinations import destination_class
from tests import rig
from tests.redis_server import start_redis
from tests.relay.oracle import Arrived
from tests.relay.support import in_file, jetstream, raw_stream, wait_until, write_to_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pytest

    from journal.embedded.server import Server
    from relay.destinations.base import Destination


class Event:
    """A message as somebody finds it at a destination."""

    def __init__(self, attributes: Mapping[str, Any], headers: Mapping[str, Any], data: str | None) -> None:
        self.attributes = attributes
        self.headers = headers
        self.data = data

    def arrived(self) -> Arrived:
        found = self.attributes
        number = json.loads(self.data)["n"] if self.data else 0
        return Arrived(int(found["position"]), found["id"], found.get("subject", ""), number)


class Place(ABC):
    """A place of a test's own at a destination, on the worker's server or on one that the test may kill."""

    kind: ClassVar[str]
    marks_owner: ClassVar[bool] = True
    server: Server | None = None
    credentials: Path | None = None

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self.folder = folder
        self.name = f"test_{secrets.token_hex(6)}"
        self.prepare(request)
        self._shared = self.server

    @abstractmethod
    def prepare(self, request: pytest.FixtureRequest) -> None:
        """Find the worker's server."""

    def use_own_server(self) -> None:  # noqa: B027  a file has none
        """A server that the test may kill and configure, where there is one at all."""

    def close(self) -> None:
        """Stop the test's own server."""
        if self.server is not None and self.server is not self._shared:
            self.server.close()

    @property
    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def events(self) -> list[Event]:
        """What is there, in order, as any other client reads it."""

    def write_foreign(self) -> None:
        """Somebody else's message at the end."""
        raise NotImplementedError

    def consume_all(self) -> None:
        """Consumers have taken everything, and it is gone."""
        raise NotImplementedError

    def destroy(self) -> None:
        """Somebody removes the stream, the table or the file."""
        raise NotImplementedError

    def back_up(self) -> Callable[[], object]:
        """What is there now; the call brings it back, and everything later is lost."""
        raise NotImplementedError

    def own_faults(self) -> Sequence[Callable[[], None]]:
        """What else can go wrong on the test's own server, and is mended when the call returns."""
        return ()

    def arrived(self) -> list[Arrived]:
        return [event.arrived() for event in self.events()]

    def destination(self, *, port: int | None = None, credentials: Path | None = None) -> Destination:
        """A driver, through a proxy's port if need be."""
        url = self.url if port is None else self.through(port)
        found = destination_class(url)
        given = credentials or self.credentials
        return found(found.parse(url), str(given) if given else None)

    def through(self, port: int) -> str:
        parts = urlsplit(self.url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{port}"))

    @property
    def port(self) -> int:
        return int(urlsplit(self.url).port or 0)

    def options(self) -> list[str]:
        """For the command line."""
        return ["--credentials", str(self.credentials)] if self.credentials else []

    def write_credentials(self, text: str) -> Path:
        path = self.folder / f"credentials-{secrets.token_hex(4)}"
        path.write_text(f"{text}\n")
        return path


class NatsPlace(Place):
    kind = "nats"

    def prepare(self, request: pytest.FixtureRequest) -> None:
        self.server = self._nats = request.getfixturevalue("nats")

    def use_own_server(self) -> None:
        self.server = self._nats = start_nats(user="alice", password="s3cret")
        self.credentials = self.write_credentials("alice:s3cret")

    @property
    def url(self) -> str:
        return f"nats://{self._nats.host}:{self._nats.port}/{self.name}"

    @property
    def server_url(self) -> str:
        return str(self._nats.url)

    def events(self) -> list[Event]:
        found = []
        for headers, data in raw_stream(self._nats.url, self.name):
            ours = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
            theirs = {name: value for name, value in headers.items() if not name.lower().startswith(("ce-", "nats-"))}
            found.append(Event(ours, theirs, data.decode() or None))
        return found

    def write_foreign(self) -> None:
        write_to_stream(self._nats.url, f"{self.name}.x", b"theirs")

    def consume_all(self) -> None:
        config = jetstream(self._nats.url, f"STREAM.INFO.{self.name}")["config"]
        jetstream(
            self._nats.url,
            f"STREAM.UPDATE.{self.name}",
            {**config, "max_age": 100_000_000, "duplicate_window": 100_000_000},
        )
        while jetstream(self._nats.url, f"STREAM.INFO.{self.name}")["state"]["messages"]:
            time.sleep(0.02)
        jetstream(self._nats.url, f"STREAM.UPDATE.{self.name}", config)

    def destroy(self) -> None:
        jetstream(self._nats.url, f"STREAM.DELETE.{self.name}")

    def back_up(self) -> Callable[[], object]:
        store, saved = self._nats.folder / "store", self.folder / "store"
        self._nats.stop()
        shutil.copytree(store, saved)
        self._nats.start()

        def bring_back() -> None:
            self._nats.kill()
            shutil.rmtree(store)
            shutil.copytree(saved, store)
            self._nats.start()

        return bring_back


class NatsClusterPlace(NatsPlace):
    """Three replicas; the relay knows one of the three servers."""

    kind = "nats-cluster"

    def prepare(self, request: pytest.FixtureRequest) -> None:
        """Nobody shares it."""

    def use_own_server(self) -> None:
        routes = [f"nats-route://127.0.0.1:{free_port()}" for _ in range(3)]
        self.members = [
            start_nats(settings={"cluster": {"name": self.name, "listen": route.partition("//")[2], "routes": routes}})
            for route in routes
        ]
        self.server = self._nats = self.members[0]
        wait_until(self._has_a_leader, 60)

    def close(self) -> None:
        for member in self.members:
            member.close()

    @property
    def url(self) -> str:
        return f"{super().url}?replicas=3"

    def own_faults(self) -> Sequence[Callable[[], None]]:
        """Fault 13: leaders that step down or die."""
        return (self._step_down, self._step_down, self._kill_another)

    def _has_a_leader(self) -> bool:
        try:
            jetstream(self._nats.url, "INFO")
        except (AssertionError, NatsError, OSError):
            return False
        return True

    def _step_down(self) -> None:
        with suppress(AssertionError, NatsError, OSError):  # there may be none at the moment
            jetstream(self._nats.url, f"STREAM.LEADER.STEPDOWN.{self.name}", {})

    def _kill_another(self) -> None:
        member = random.choice(self.members[1:])
        member.kill()
        time.sleep(0.2)
        member.start()


class RedisPlace(Place):
    kind = "redis"

    def prepare(self, request: pytest.FixtureRequest) -> None:
        self.server = self._redis = request.getfixturevalue("redis")

    def use_own_server(self) -> None:
        self.server = self._redis = start_redis(requirepass="s3cret", appendfsync="always")
        self.credentials = self.write_credentials("s3cret")

    @property
    def url(self) -> str:
        return f"redis://{self._redis.host}:{self._redis.port}/0?stream={self.name}"

    def events(self, key: str | None = None) -> list[Event]:
        with self._redis.client() as client:
            entries = client.xrange(key or self.name)
        found = []
        for _, fields in entries:
            text = {name.decode(): value.decode() for name, value in fields.items()}
            found.append(Event(text, json.loads(text.get("headers", "{}")), text.get("data")))
        return found

    def write_foreign(self) -> None:
        with self._redis.client() as client:
            client.xadd(self.name, {"theirs": "1"})

    def consume_all(self) -> None:
        with self._redis.client() as client:
            client.xtrim(self.name, maxlen=0, approximate=False)

    def destroy(self) -> None:
        with self._redis.client() as client:
            client.delete(self.name)

    def back_up(self) -> Callable[[], object]:
        keys = (self.name, f"{{{self.name}}}:owner")
        with self._redis.client() as client:
            saved = {key: client.dump(key) for key in keys}

        def bring_back() -> None:
            with self._redis.client() as client:
                for key, value in saved.items():
                    client.restore(key, 0, value, replace=True)

        return bring_back

    def own_faults(self) -> Sequence[Callable[[], None]]:
        return (self._run_out_of_memory, self._forget_scripts)

    def _run_out_of_memory(self) -> None:
        """Fault 14: in the middle of a batch, then freed."""
        with self._redis.client() as client:
            client.config_set("maxmemory", "1")
            time.sleep(0.1)
            client.config_set("maxmemory", "0")

    def _forget_scripts(self) -> None:
        with self._redis.client() as client:
            client.script_flush()


class PostgresPlace(Place):
    """In the source's own server, in another database; in the tests that kill a server, on another one."""

    kind = "postgresql"

    def prepare(self, request: pytest.FixtureRequest) -> None:
        cluster: rig.Cluster = request.getfixturevalue("postgres")
        self._use(request.getfixturevalue("empty_dsn"))
        self._server = cluster.server

    def use_own_server(self) -> None:
        self.server = self._server = rig.start_server()
        self._use(self._server.dsn("postgres"))

    def _use(self, dsn: str) -> None:
        self._dsn = dsn
        parts = urlsplit(dsn)
        self._netloc = f"{parts.username}@{parts.hostname}:{parts.port}"
        self._database = parts.path
        self.credentials = self.write_credentials(f"{parts.username}:{parts.password}")

    @property
    def url(self) -> str:
        return f"postgresql://{self._netloc}{self._database}?table={self.name}"

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._dsn, autocommit=True) as conn:
            names = {"table": sql.Identifier(self.name), "position": sql.Identifier(f"{self.name}_position")}
            cursor = conn.execute(sql.SQL(statement).format(**names))
            return cursor.fetchall() if cursor.description else []

    def events(self) -> list[Event]:
        rows = self.execute(
            "select to_jsonb(t) - 'headers' - 'data' || case when key is null then '{{}}' else"
            " jsonb_build_object('subject', key) end, headers, data::text from {table} as t order by position"
        )
        return [Event(*row) for row in rows]

    def write_foreign(self) -> None:
        self.execute(
            "insert into {table} (lane, position, id, topic, type, source, time, lineage, headers)"
            " select 0, coalesce(max(position), 0) + 1, gen_random_uuid(), 'x', 'x', 'x', now(), gen_random_uuid(), '{{}}'"
            " from {table}"
        )

    def consume_all(self) -> None:
        self.execute("delete from {table}")

    def destroy(self) -> None:
        self.execute("drop table {table}, {position}")

    def back_up(self) -> Callable[[], object]:
        self.execute("create table rows as table {table}; create table positions as table {position}")
        return lambda: self.execute(
            "delete from {table}; delete from {position};"
            " insert into {table} table rows; insert into {position} table positions"
        )


class FilePlace(Place):
    kind = "file"
    marks_owner = False

    def prepare(self, request: pytest.FixtureRequest) -> None:  # noqa: ARG002
        self.path = self.folder / "out.jsonl"

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def events(self) -> list[Event]:
        found = []
        for line in self.path.read_text(encoding="utf-8").split("\n")[:-1] if self.path.exists() else []:
            event = json.loads(line)
            headers = event.pop("headers", {})
            data = line[line.index('"data":') + 7 : -1] if "data" in event else None
            found.append(Event(event, headers, data))
        return found

    def arrived(self) -> list[Arrived]:
        return in_file(self.path) if self.path.exists() else []

    def write_foreign(self) -> None:
        with self.path.open("ab") as file:
            file.write(b'{"theirs": 1}\n')

    def destroy(self) -> None:
        self.path.unlink()

    def back_up(self) -> Callable[[], object]:
        saved = self.path.read_bytes()
        return lambda: self.path.write_bytes(saved)


PLACES = (NatsPlace, RedisPlace, PostgresPlace, FilePlace)
SERVED = (NatsPlace, RedisPlace, PostgresPlace)
CONSUMED = (NatsPlace, RedisPlace, PostgresPlace)
