"""A proxy before Postgres that loses the reply to a COMMIT: the server has committed, the caller never hears of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

_COMMITTED = b"COMMIT\0"
_CHUNK = 65_536


class LossyProxy:
    """Passes bytes between a client and the server at `(host, port)`; `lose_next` cuts the line at the next reply to a COMMIT."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lose = threading.Event()
        self.lost = 0

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def lose_next(self) -> None:
        """The reply to the next COMMIT is lost, and its connection with it."""
        self._lose.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="lossy-proxy", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            server = socket.create_connection(self._server)
            threading.Thread(target=self._pass, args=(client, server), kwargs={"replies": False}, daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client), kwargs={"replies": True}, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, *, replies: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(_CHUNK):
                if replies and self._lose.is_set() and _COMMITTED in chunk:
                    self._lose.clear()
                    self.lost += 1
                    break
                target.sendall(chunk)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
