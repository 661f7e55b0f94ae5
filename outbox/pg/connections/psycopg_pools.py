"""psycopg_pool: ConnectionPool and AsyncConnectionPool, and the pools derived from them."""

from __future__ import annotations

from typing import Any

import psycopg_pool

from outbox.pg.connections.pooled import AsyncPooledLink, PooledLink
from outbox.pg.connections.psycopg3 import AsyncPsycopgLink, PsycopgLink
from outbox.pg.flow import Link


def link(conn: Any) -> Link | None:
    """The link of a pool."""
    if isinstance(conn, psycopg_pool.ConnectionPool):
        return PooledLink(_Pool(conn, PsycopgLink))
    if isinstance(conn, psycopg_pool.AsyncConnectionPool):
        return AsyncPooledLink(_Pool(conn, AsyncPsycopgLink))
    return None


class _Pool:
    def __init__(self, pool: Any, kind: type[PsycopgLink] | type[AsyncPsycopgLink]) -> None:
        self.origin = pool
        self.take = pool.getconn
        self.give_back = pool.putconn
        self.link: Any = kind
