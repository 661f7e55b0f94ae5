"""How these tests look at a database, and how they disturb it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import journal

_COMMIT = b"COMMIT\0"  # the whole request, and the tag that ends the reply
_PATIENCE_SECONDS = 30


def one(conn: psycopg.Connection, query: str, *parameters: object) -> Any:
    """The only value of a query."""
    (value,) = column(conn, query, *parameters)
    return value


def column(conn: psycopg.Connection, query: str, *parameters: object) -> list[Any]:
    """The only column of a query. Looking leaves no transaction open."""
    idle = conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    found = [value for (value,) in conn.execute(query.encode(), parameters or None).fetchall()]
    if idle and not conn.autocommit:
        conn.rollback()
    return found


def statuses(conn: psycopg.Connection, session: Any) -> list[str]:
    """Status of each step of a session, in order."""
    return column(conn, "select status from journal.steps where session_id = %s order by ordinal", session.id)


def note(conn: psycopg.Connection, text: str = "x") -> None:
    """The effect of a step: one row more in `notes`."""
    conn.execute("insert into notes (note) values (%s)", (text,))


def notes(conn: psycopg.Connection) -> int:
    """How often it took effect."""
    return int(one(conn, "select count(*) from notes"))


def wait_until(condition: Callable[[], bool]) -> None:
    """Until something that another connection does has happened."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen")
        time.sleep(0.005)


def wait_until_blocked(watch: psycopg.Connection, pid: int) -> None:
    """Until the backend waits for a lock."""
    query = "select wait_event_type is not distinct from 'Lock' from pg_stat_activity where pid = %s"
    wait_until(lambda: bool(one(watch, query, pid)))


class Beside:
    """Work in a thread of its own, from now on."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._outcome: Any = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._outcome = self._work()
        except Exception as error:  # noqa: BLE001  the test looks at it
            self._outcome = error

    def outcome(self) -> Any:
        """What the work returned, or the exception it raised."""
        self._thread.join(_PATIENCE_SECONDS)
        assert not self._thread.is_alive()
        return self._outcome


def one_step(conn: psycopg.Connection, key: str, *, wait: float = 10.0, **options: Any) -> journal.Step:
    """A step that writes a note, in a session of its own."""
    session = journal.open_session(conn, agent="caller")
    with session.step("note", key=key, wait=wait, **options) as step:
        if not step.replayed:
            note(conn, key)
            step.complete({"noted": key})
    return step


class Line:
    """A TCP line to the server that can be cut around a COMMIT."""

    def __init__(self, dsn: str) -> None:
        parts = conninfo_to_dict(dsn)
        self._server = (str(parts["host"]), int(str(parts["port"])))
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.dsn = make_conninfo(dsn, host="127.0.0.1", port=port, sslmode="disable", gssencmode="disable")
        self._lose_request = threading.Event()
        self._lose_reply = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_commit(self) -> None:
        """The next COMMIT never reaches the server."""
        self._lose_request.set()

    def lose_reply(self) -> None:
        """The next COMMIT reaches the server; its reply never comes back."""
        self._lose_reply.set()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                for work in (self._requests, self._replies):
                    threading.Thread(target=work, args=(client, server), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := client.recv(65536):
                if _COMMIT in chunk.upper() and self._lose_request.is_set():
                    break
                server.sendall(chunk)
        _hang_up(client, server)

    def _replies(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := server.recv(65536):
                if _COMMIT in chunk and self._lose_reply.is_set():
                    break
                client.sendall(chunk)
        _hang_up(client, server)


def _hang_up(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
