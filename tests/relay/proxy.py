"""A TCP proxy that holds, drops, delays or cuts what passes, each direction by itself.

What is held stays here when its sender is gone, and goes on when it is let go: the bytes of a dead relay.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Literal, Self

Direction = Literal["up", "down"]
Mode = Literal["flow", "hold", "drop"]
_TICK = 0.002
_BLOCK = 1 << 16


@dataclass
class _Way:
    """One direction, over all connections. `budget`: bytes that still pass before everything is cut."""

    mode: Mode = "flow"
    delay: float = 0.0
    budget: int | None = None
    seen: int = 0
    waiting: int = 0


@dataclass
class Proxy:
    """Listens on `port` of the loopback interface, and passes on to `target_port`. A context manager."""

    target_port: int
    port: int = 0
    up: _Way = field(default_factory=_Way)
    down: _Way = field(default_factory=_Way)

    def __enter__(self) -> Self:
        self._ended = threading.Event()
        self._clients: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def cut_clients(self) -> None:
        """Close every connection on the relay's side; what is held for the server is kept."""
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def wait_seen(self, way: _Way, count: int = 1, timeout: float = 10.0) -> None:
        """Wait until so many bytes have come in one direction, whatever became of them."""
        until = time.monotonic() + timeout
        while way.seen < count:
            assert time.monotonic() < until, f"{way.seen} bytes came"
            time.sleep(_TICK)

    def wait_passed_on(self, way: _Way, timeout: float = 10.0) -> None:
        """Wait until nothing is held in one direction any more."""
        until = time.monotonic() + timeout
        while way.waiting:
            assert time.monotonic() < until, f"{way.waiting} bytes are held"
            time.sleep(_TICK)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            if not select.select([self._listener], [], [], _TICK)[0]:
                continue
            client, _ = self._listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                client.close()
                continue
            self._clients.append(client)
            self._start(self._serve, client, server)

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        pumps = [_Pump(client, server, self.up), _Pump(server, client, self.down)]
        with client, server:
            while not self._ended.is_set() and not all(pump.done for pump in pumps):
                readable = [pump.source for pump in pumps if not pump.at_end]
                ready = select.select(readable, [], [], _TICK)[0]
                for pump in pumps:
                    if pump.source in ready:
                        pump.receive()
                    if pump.pass_on():
                        return


class _Pump:
    """One direction of one connection."""

    def __init__(self, source: socket.socket, target: socket.socket, way: _Way) -> None:
        self.source = source
        self.at_end = self.done = False
        self._target = target
        self._way = way
        self._pending = bytearray()

    def receive(self) -> None:
        try:
            data = self.source.recv(_BLOCK)
        except OSError:
            data = b""
        self.at_end = not data
        self._way.seen += len(data)
        self._way.waiting += len(data)
        self._pending += data

    def pass_on(self) -> bool:
        """Whether the budget is used up, so that the connection has to end."""
        if self._way.mode == "drop":
            self._way.waiting -= len(self._pending)
            self._pending.clear()
        if self._way.mode == "flow" and self._pending:
            if self._way.delay:
                time.sleep(self._way.delay)
            if self._send():
                return True
        if self.at_end and not self._pending and not self.done:
            self.done = True
            with contextlib.suppress(OSError):
                self._target.shutdown(socket.SHUT_WR)
        return False

    def _send(self) -> bool:
        budget = self._way.budget
        data = bytes(self._pending if budget is None else self._pending[:budget])
        cut = budget is not None and len(self._pending) >= budget
        held = len(self._pending)
        self._pending.clear()
        if budget is not None:
            self._way.budget = budget - len(data)
        with contextlib.suppress(OSError):
            self._target.sendall(data)
        self._way.waiting -= held
        return cut
