"""psycopg 3: Connection and AsyncConnection.

Statements go through a cursor of our own, which depends on none of the caller's row factory, cursor factory or adapters.
Transactions are psycopg's own blocks, so that psycopg itself forbids a commit() or rollback() inside them.
"""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import Rollback
from psycopg.adapt import AdaptersMap
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import tuple_row
from psycopg.types.none import NoneDumper
from psycopg.types.string import StrDumper, TextLoader

from outbox.pg.connections import UnknownConnectionKind
from outbox.pg.flow import CommitLost, Link, Parameters, Rows

# psycopg gives SQLAlchemy's form of a named parameter no meaning; the same statements serve both.
_PARAMETER = re.compile(r"(?<![:\w]):(\w+)(?!:)")
_READ_COMMITTED = "set transaction isolation level read committed"


def _text_only() -> AdaptersMap:
    adapters = AdaptersMap(types=psycopg.postgres.types)
    adapters.register_dumper(str, StrDumper)
    adapters.register_dumper(type(None), NoneDumper)
    adapters.register_loader(0, TextLoader)
    adapters.register_loader("text", TextLoader)
    return adapters


_TEXT_ONLY = _text_only()
_Row = tuple[Any, ...]


class _Cursor(psycopg.RawCursor[_Row]):
    @property
    def adapters(self) -> AdaptersMap:
        return _TEXT_ONLY


class _AsyncCursor(psycopg.AsyncRawCursor[_Row]):
    @property
    def adapters(self) -> AdaptersMap:
        return _TEXT_ONLY


def link(conn: Any) -> Link | None:
    """The link of a psycopg connection."""
    if isinstance(conn, psycopg.Connection):
        return PsycopgLink(conn)
    if isinstance(conn, psycopg.AsyncConnection):
        return AsyncPsycopgLink(conn)
    return None


@lru_cache(maxsize=256)
def _numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """`:name` as `$1`, and which name each number stands for."""
    names = tuple(dict.fromkeys(_PARAMETER.findall(sql)))
    numbers = {name: f"${index}" for index, name in enumerate(names, 1)}
    return _PARAMETER.sub(lambda match: numbers[match[1]], sql), names


def _is_idle(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    # A closed connection is idle too: what is run on it next says so.
    return conn.info.transaction_status in {TransactionStatus.IDLE, TransactionStatus.UNKNOWN}


def _refuse_pipeline(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    """In a pipeline nobody knows whether a transaction is open, and answers come late."""
    if not conn.closed and conn.pgconn.pipeline_status != PipelineStatus.OFF:
        raise UnknownConnectionKind(
            "the connection is in pipeline mode", hint="leave the pipeline block first; a body may have one of its own"
        )


def _refuse_lost(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    """psycopg leaves a block on a broken connection in silence."""
    if conn.closed:
        raise psycopg.OperationalError("the connection was lost before COMMIT")


class PsycopgLink:
    """A psycopg Connection."""

    is_async = False

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self._conn = conn
        self._blocks: list[tuple[AbstractContextManager[psycopg.Transaction], psycopg.Transaction]] = []

    def acquire(self) -> psycopg.Connection[Any]:
        _refuse_pipeline(self._conn)
        return self._conn

    def lend(self) -> None:
        pass

    def give_back(self) -> None:
        pass

    def in_transaction(self) -> bool:
        return not _is_idle(self._conn)

    def begin(self, read_committed: bool) -> None:
        self.savepoint()
        if read_committed:
            self.execute(_READ_COMMITTED, {})

    def commit(self) -> None:
        _refuse_lost(self._conn)
        try:
            self._blocks.pop()[0].__exit__(None, None, None)
        except psycopg.Error as error:
            if self._conn.closed:
                raise CommitLost from error
            raise

    def rollback(self) -> None:
        while self._blocks:
            self.rollback_to_savepoint()

    def savepoint(self) -> None:
        block = self._conn.transaction()
        self._blocks.append((block, block.__enter__()))

    def release_savepoint(self) -> None:
        self._blocks.pop()[0].__exit__(None, None, None)

    def rollback_to_savepoint(self) -> None:
        block, entered = self._blocks.pop()
        block.__exit__(Rollback, Rollback(entered), None)

    def flush(self) -> None:
        pass

    def execute(self, sql: str, parameters: Parameters) -> Rows:
        query, names = _numbered(sql)
        with _Cursor(self._conn, row_factory=tuple_row) as cursor:
            cursor.execute(query.encode(), [parameters[name] for name in names])
            return cursor.fetchall() if cursor.description else []


class AsyncPsycopgLink:
    """A psycopg AsyncConnection."""

    is_async = True

    def __init__(self, conn: psycopg.AsyncConnection[Any]) -> None:
        self._conn = conn
        self._blocks: list[tuple[AbstractAsyncContextManager[psycopg.AsyncTransaction], psycopg.AsyncTransaction]] = []

    async def acquire(self) -> psycopg.AsyncConnection[Any]:
        _refuse_pipeline(self._conn)
        return self._conn

    async def lend(self) -> None:
        pass

    async def give_back(self) -> None:
        pass

    async def in_transaction(self) -> bool:
        return not _is_idle(self._conn)

    async def begin(self, read_committed: bool) -> None:
        await self.savepoint()
        if read_committed:
            await self.execute(_READ_COMMITTED, {})

    async def commit(self) -> None:
        _refuse_lost(self._conn)
        try:
            await self._blocks.pop()[0].__aexit__(None, None, None)
        except psycopg.Error as error:
            if self._conn.closed:
                raise CommitLost from error
            raise

    async def rollback(self) -> None:
        while self._blocks:
            await self.rollback_to_savepoint()

    async def savepoint(self) -> None:
        block = self._conn.transaction()
        self._blocks.append((block, await block.__aenter__()))

    async def release_savepoint(self) -> None:
        await self._blocks.pop()[0].__aexit__(None, None, None)

    async def rollback_to_savepoint(self) -> None:
        block, entered = self._blocks.pop()
        await block.__aexit__(Rollback, Rollback(entered), None)

    async def flush(self) -> None:
        pass

    async def execute(self, sql: str, parameters: Parameters) -> Rows:
        query, names = _numbered(sql)
        async with _AsyncCursor(self._conn, row_factory=tuple_row) as cursor:
            await cursor.execute(query.encode(), [parameters[name] for name in names])
            return await cursor.fetchall() if cursor.description else []
