"""Pools, engines and sessionmakers: each operation or step takes a connection and gives it back.

Inside the body of a step the pool means the connection of the step, for the task that runs the body: what is published or nested
there belongs to the step. Other tasks get connections of their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from outbox.pg.flow import Link
from outbox.pg.owner import Owner, owner


class Source(Protocol):
    """Where connections come from. Asynchronous sources return awaitables."""

    origin: Any

    def take(self) -> Any: ...
    def give_back(self, conn: Any) -> Any: ...
    def link(self, conn: Any) -> Link: ...


class _Loans:
    """Which connection of which pool the body of a step works on, in which task."""

    def __init__(self) -> None:
        self._lent: dict[tuple[int, Owner], Any] = {}

    def find(self, source: Source) -> Any:
        return self._lent.get((id(source.origin), owner()))

    def lend(self, source: Source, conn: Any) -> tuple[int, Owner]:
        loan = (id(source.origin), owner())
        self._lent[loan] = conn
        return loan

    def end(self, loan: tuple[int, Owner]) -> None:
        self._lent.pop(loan, None)


_loans = _Loans()


class _Pooled:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._taken: Any = None
        self._link: Link | None = None
        self._loan: tuple[int, Owner] | None = None

    def _returned(self) -> Any:
        """What is to be given back; None where it is the step's own connection."""
        if self._loan is not None:
            _loans.end(self._loan)
        conn, self._taken, self._link, self._loan = self._taken, None, None, None
        return conn

    def _lend(self) -> None:
        if self._taken is not None:
            self._loan = _loans.lend(self._source, self._taken)


class PooledLink(_Pooled):
    """Acquires from a source; every other effect goes to the link of the connection that came from there."""

    is_async = False

    def acquire(self) -> Any:
        conn = _loans.find(self._source)
        if conn is None:
            conn = self._taken = self._source.take()
        self._link = self._source.link(conn)
        return self._link.acquire()

    def lend(self) -> None:
        self._lend()

    def give_back(self) -> None:
        link, conn = self._link, self._returned()
        if link is not None:
            link.give_back()
        if conn is not None:
            self._source.give_back(conn)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The other effects."""
        return getattr(self._link, name)  # type: ignore[no-any-return]


class AsyncPooledLink(_Pooled):
    """The same for asynchronous sources."""

    is_async = True

    async def acquire(self) -> Any:
        conn = _loans.find(self._source)
        if conn is None:
            conn = self._taken = await self._source.take()
        self._link = self._source.link(conn)
        return await self._link.acquire()

    async def lend(self) -> None:
        self._lend()

    async def give_back(self) -> None:
        link, conn = self._link, self._returned()
        if link is not None:
            await link.give_back()
        if conn is not None:
            await self._source.give_back(conn)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        """The other effects."""
        return getattr(self._link, name)  # type: ignore[no-any-return]
