"""The kinds of connections. Each kind is one file with a function `link(conn)`; it enrols by one line in `_KINDS`.

A kind is found by the package that the connection's class comes from, so nothing is imported that the caller does not use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from outbox.pg.flow import Link

if TYPE_CHECKING:
    from outbox.pg.connections.types import AsyncConn as AsyncConn
    from outbox.pg.connections.types import Conn as Conn

_KINDS = {
    "psycopg": "outbox.pg.connections.psycopg3",
    "psycopg_pool": "outbox.pg.connections.psycopg_pools",
    "sqlalchemy": "outbox.pg.connections.sqlalchemy2",
}


_HINT = "pass a psycopg 3 or SQLAlchemy connection to PostgreSQL, or a pool, engine or sessionmaker of one"


class UnknownConnectionKind(TypeError):
    """The object is none of the connections that we work with, or not one to PostgreSQL. `hint`: what to pass instead."""

    def __init__(self, message: str, *, hint: str = _HINT) -> None:
        super().__init__(message)
        self.hint = hint
        self.add_note(f"hint: {hint}")


def link(conn: Any) -> Link:
    """What runs effects on `conn`; a new one for each operation or step. Raises `UnknownConnectionKind`."""
    for cls in type(conn).__mro__:
        kind = _KINDS.get(cls.__module__.partition(".")[0])
        made: Link | None = import_module(kind).link(conn) if kind else None
        if made is not None:
            return made
    raise UnknownConnectionKind(
        f"{type(conn).__module__}.{type(conn).__qualname__} is not a psycopg 3 Connection or AsyncConnection, a psycopg_pool "
        "pool, or a SQLAlchemy Connection, Session, Engine or sessionmaker (or an async one of these)"
    )
