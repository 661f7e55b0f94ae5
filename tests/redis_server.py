"""A Redis server of the tests' own, from the system's package: there is no wheel of it that is kept up to date.

Where it is not installed, a test that needs it is skipped, or fails with JOURNAL_REQUIRE_SERVERS=1, which CI sets.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Mapping
from typing import Any

import pytest

from journal.embedded.server import Server, ourselves

# Every write is in the log, and handed to the system, before it is acknowledged; the tests crash processes, not the machine.
_SETTINGS = {"appendonly": "yes", "appendfsync": "everysec", "save": "", "bind": "127.0.0.1", "protected-mode": "yes"}


class RedisServer(Server):
    """A running Redis server; made by `start_redis`. `host`, `port`, `url`, `pid`."""

    _port_taken_words = "Address already in use"

    def __init__(self, binary: str, settings: Mapping[str, str]) -> None:
        super().__init__("redis", ourselves())
        self._binary = binary
        self._settings = {**_SETTINGS, **settings}
        self._started = False

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    def start(self) -> None:
        super().start()
        self._started = True

    def client(self) -> Any:
        """A client for the test; close it, or use it as a context manager."""
        import redis  # noqa: PLC0415

        return redis.Redis(host=self.host, port=self.port, password=self._settings.get("requirepass"), protocol=2)

    def _may_pass(self, tail: str) -> bool:
        """After a kill the old port is ours still: wait for it rather than give up."""
        return self._started and self._port_taken(tail)

    def _command(self) -> list[str]:
        words = [word for name, value in self._settings.items() for word in (f"--{name}", value)]
        return [self._binary, "--port", str(self.port), "--dir", str(self.folder), *words]

    def _ready(self) -> bool:
        """It answers only once it has read its log; a server that asks for a password is ready, too."""
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


def start_redis(**settings: str) -> RedisServer:
    """A new, empty Redis server on a free port of the loopback interface; `settings` with _ for -. A context manager."""
    binary = shutil.which("redis-server")
    if binary is None:
        missing = "redis-server is not installed: apt-get install redis-server"
        if os.environ.get("JOURNAL_REQUIRE_SERVERS"):
            pytest.fail(missing)
        pytest.skip(missing)
    server = RedisServer(binary, {name.replace("_", "-"): value for name, value in settings.items()})
    try:
        server.start_on_free_port()
    except BaseException:
        server.close()
        raise
    return server
