"""Pools, engines and sessionmakers: each operation or step takes a connection and gives it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from outbox.pg.flow import Link


class Source(Protocol):
    """Where connections come from. Asynchronous sources return awaitables."""

    def take(self) -> Any: ...
    def give_back(self, conn: Any) -> Any: ...
    def link(self, conn: Any) -> Link: ...


class PooledLink:
    """Acquires from a source; every other effect goes to the link of the connection that came from there."""

    is_async = False

    def __init__(self, source: Source) -> None:
        self._source = source
        self._conn: Any = None
        self._link: Link | None = None

    def acquire(self) -> Any:
        self._conn = self._source.take()
        self._link = self._source.link(self._conn)
        return self._link.acquire()

    def give_back(self) -> None:
        conn, self._conn, self._link = self._conn, None, None
        if conn is not None:
            self._source.give_back(conn)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The other effects."""
        return getattr(self._link, name)  # type: ignore[no-any-return]


class AsyncPooledLink:
    """The same for asynchronous sources."""

    is_async = True

    def __init__(self, source: Source) -> None:
        self._source = source
        self._conn: Any = None
        self._link: Link | None = None

    async def acquire(self) -> Any:
        self._conn = await self._source.take()
        self._link = self._source.link(self._conn)
        return await self._link.acquire()

    async def give_back(self) -> None:
        conn, self._conn, self._link = self._conn, None, None
        if conn is not None:
            await self._source.give_back(conn)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        """The other effects."""
        return getattr(self._link, name)  # type: ignore[no-any-return]
