"""A payment provider: a real HTTP server that counts every charge it makes. It does not recognise repeated requests by itself."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Provider:
    """`charges`: the provider keys of the charges made, in order. `mood`: what it does with the next requests."""

    port: int = 0
    charges: list[str] = field(default_factory=list)
    mood: str = "fine"  # or: declines, loses the reply, is away

    def id_of(self, key: str) -> str:
        return f"ch_{self.charges.index(key)}"

    def charge(self, key: str) -> dict[str, Any]:
        """What a client of the provider does. Raises `OSError` where no answer came."""
        return _answered(self.port, "POST", key)

    def find(self, key: str) -> dict[str, Any] | None:
        """A probe: the charge, or None where there is none."""
        answer = _answered(self.port, "GET", key)
        return answer if "charge" in answer else None


def _answered(port: int, method: str, key: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, f"/charges/{key}")
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
    except http.client.HTTPException as error:
        raise ConnectionError from error
    finally:
        connection.close()
    return answer


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider on a free port."""
    made = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            key = self.path.rpartition("/")[2]
            if made.mood in {"fine", "loses the reply"}:
                made.charges.append(key)
            if made.mood == "fine":
                self._say({"charge": made.id_of(key)})
            elif made.mood == "declines":
                self._say({"declined": "no funds"})

        def do_GET(self) -> None:
            key = self.path.rpartition("/")[2]
            if made.mood != "is away":
                self._say({"charge": made.id_of(key)} if key in made.charges else {})

        def _say(self, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield made
        finally:
            server.shutdown()
