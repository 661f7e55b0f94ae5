"""Decide in a generator, wait in a shell: one code path for sync and async, for every kind of connection.

An operation is a generator (a `Flow`) that yields effects and receives their answers. It knows neither drivers nor event loops.
`drive` and `adrive` run it on a `Link`, which is what a kind of connection (`outbox.pg.connections`) does for each effect.

Every parameter travels as text or null and is cast in SQL (`(:id)::text::uuid`); every answer is text. So a statement means the
same on psycopg, psycopg2 and asyncpg, whatever adapters the caller has registered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

_CLEANUPS = 20  # more than any flow nests

T = TypeVar("T")
Rows = list[tuple[str | None, ...]]
Parameters = Mapping[str, str | None]


class CommitLost(Exception):
    """The connection broke during COMMIT: nobody can tell whether it took effect. Raised `from` the driver's error."""


class Link(Protocol):
    """What a kind of connection does for each effect. A link serves one operation or one step, from acquire to give_back.

    Asynchronous links have the same methods and return awaitables; `is_async` tells which it is.
    """

    is_async: bool

    def acquire(self) -> Any: ...
    def lend(self) -> Any: ...
    def give_back(self) -> Any: ...
    def in_transaction(self) -> Any: ...
    def begin(self, read_committed: bool) -> Any: ...
    def commit(self) -> Any: ...
    def rollback(self) -> Any: ...
    def savepoint(self) -> Any: ...
    def release_savepoint(self) -> Any: ...
    def rollback_to_savepoint(self) -> Any: ...
    def flush(self) -> Any: ...
    def execute(self, sql: str, parameters: Parameters) -> Any: ...


class Effect:
    """One thing that an operation wants done."""

    def on(self, link: Link) -> Any:
        raise NotImplementedError


class Acquire(Effect):
    """Take a connection, from the pool or engine where it is one. Answer: the connection, as the caller uses it."""

    def on(self, link: Link) -> Any:
        return link.acquire()


class Lend(Effect):
    """Until it is given back, the pool that it came from means the acquired connection, in this task: a body works on it."""

    def on(self, link: Link) -> Any:
        return link.lend()


class GiveBack(Effect):
    """Return what Acquire took; nothing of ours is left open. A connection that the caller passed stays his."""

    def on(self, link: Link) -> Any:
        return link.give_back()


class InTransaction(Effect):
    """Answer: whether a transaction is open, by us or by the caller."""

    def on(self, link: Link) -> Any:
        return link.in_transaction()


@dataclass(frozen=True)
class Begin(Effect):
    """Begin a transaction of our own, at the caller's isolation level unless `read_committed`."""

    read_committed: bool = False

    def on(self, link: Link) -> Any:
        return link.begin(self.read_committed)


class Commit(Effect):
    """Commit the transaction of our own. Raises `CommitLost` where the reply did not arrive."""

    def on(self, link: Link) -> Any:
        return link.commit()


class Rollback(Effect):
    """Roll back the transaction of our own, with all savepoints. Does nothing where none is open."""

    def on(self, link: Link) -> Any:
        return link.rollback()


class Savepoint(Effect):
    """Open a savepoint inside the innermost one."""

    def on(self, link: Link) -> Any:
        return link.savepoint()


class ReleaseSavepoint(Effect):
    """Keep what was done since the innermost savepoint."""

    def on(self, link: Link) -> Any:
        return link.release_savepoint()


class RollbackToSavepoint(Effect):
    """Undo what was done since the innermost savepoint, settings included, and end it."""

    def on(self, link: Link) -> Any:
        return link.rollback_to_savepoint()


class Flush(Effect):
    """Write what an object mapper still holds back."""

    def on(self, link: Link) -> Any:
        return link.flush()


@dataclass(frozen=True)
class Statement(Effect):
    """Run one statement with `:named` parameters. Answer: its rows, each value text or None."""

    sql: str
    parameters: Parameters = field(default_factory=dict)

    def on(self, link: Link) -> Any:
        return link.execute(self.sql, self.parameters)


Flow = Generator[Effect, Any, T]


def drive(flow: Flow[T], link: Link) -> T:
    """Run a flow on a synchronous link."""
    answer: Any = None
    error: BaseException | None = None
    while True:
        try:
            effect = flow.send(answer) if error is None else flow.throw(error)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        answer = error = None
        try:
            answer = effect.on(link)
        except BaseException as raised:  # noqa: BLE001  the flow decides, and raises it again
            error = raised


async def adrive(flow: Flow[T], link: Link) -> T:
    """Run a flow on an asynchronous link."""
    answer: Any = None
    error: BaseException | None = None
    while True:
        try:
            effect = flow.send(answer) if error is None else flow.throw(error)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        answer = error = None
        try:
            answer = await effect.on(link)
        except GeneratorExit:
            _abandon(flow)
            raise
        except BaseException as raised:  # noqa: BLE001  the flow decides, and raises it again
            error = raised


def _abandon(flow: Flow[T]) -> None:
    """The event loop is gone: what the flow still wants done to clean up cannot be awaited. The server will roll back."""
    for _ in range(_CLEANUPS):
        try:
            flow.close()
        except RuntimeError:
            continue
        return


def run(flow: Flow[T], link: Link) -> T | Awaitable[T]:
    """Run a flow: its result on a synchronous link, an awaitable of it on an asynchronous one."""
    return adrive(flow, link) if link.is_async else drive(flow, link)


def scalar(sql: str, **parameters: str | None) -> Flow[str | None]:
    """The only value of the only row of a statement; None where there is no row."""
    rows: Rows = yield Statement(sql, parameters)
    return rows[0][0] if rows else None


def transaction(work: Flow[T]) -> Flow[T]:
    """Do `work` in the caller's open transaction, or else in one of our own: READ COMMITTED, and committed."""
    yield Acquire()
    try:
        if (yield InTransaction()):
            return (yield from work)
        return (yield from own_transaction(work))
    finally:
        yield GiveBack()


def own_transaction(work: Flow[T]) -> Flow[T]:
    """Do `work` in a transaction of our own on the acquired connection."""
    try:
        yield Begin(read_committed=True)
        answer = yield from work
        yield Commit()
    except BaseException:
        yield Rollback()
        raise
    return answer
