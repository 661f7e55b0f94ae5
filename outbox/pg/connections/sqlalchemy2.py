"""SQLAlchemy: Connection, Session, Engine, sessionmaker and scoped_session, and their async twins.

Statements go through SQLAlchemy, so every PostgreSQL dialect works. The async twins run the same code in SQLAlchemy's own way
(`run_sync`): there is nothing here that exists twice.

Two things SQLAlchemy would let pass: under the isolation level AUTOCOMMIT its transactions are none, so ours begin by a BEGIN of
their own; and a commit() in the body of a step would commit half of it, so it is refused there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy import event, orm
from sqlalchemy.exc import DBAPIError, InvalidRequestError, UnboundExecutionError

from outbox.pg.connections import UnknownConnectionKind
from outbox.pg.connections.pooled import AsyncPooledLink, PooledLink
from outbox.pg.flow import CommitLost, Link, Parameters, Rows

# Connections in AUTOCOMMIT on which a BEGIN of ours is open.
_our_begins: WeakSet[sa.Connection] = WeakSet()


def link(conn: Any) -> Link | None:
    """The link of a SQLAlchemy connection, session, engine or sessionmaker."""
    if isinstance(conn, sa.Connection):
        return ConnectionLink(conn)
    if isinstance(conn, orm.Session):
        return SessionLink(conn)
    if isinstance(conn, orm.scoped_session):
        return SessionLink(conn())
    if isinstance(conn, sa.Engine):
        return PooledLink(_Engine(conn))
    if isinstance(conn, orm.sessionmaker):
        return PooledLink(_Sessionmaker(conn))
    return _async_link(conn)


def _async_link(conn: Any) -> Link | None:
    from sqlalchemy.ext import asyncio  # noqa: PLC0415  needs greenlet, which synchronous users may not have

    if isinstance(conn, asyncio.AsyncConnection):
        return AsyncLink(conn, lambda: ConnectionLink(_started(conn)))
    if isinstance(conn, asyncio.AsyncSession):
        return AsyncLink(conn, lambda: SessionLink(conn.sync_session))
    if isinstance(conn, asyncio.async_scoped_session):
        return _async_link(conn())
    if isinstance(conn, asyncio.AsyncEngine):
        return AsyncPooledLink(_AsyncEngine(conn))
    if isinstance(conn, asyncio.async_sessionmaker):
        return AsyncPooledLink(_AsyncSessionmaker(conn))
    return None


def _started(conn: Any) -> sa.Connection:
    if conn.sync_connection is None:
        raise UnknownConnectionKind("the AsyncConnection is not started", hint="use `async with engine.connect()`")
    return conn.sync_connection  # type: ignore[no-any-return]


@lru_cache(maxsize=256)
def _text(sql: str) -> sa.TextClause:
    return sa.text(sql)


class ConnectionLink:
    """A Connection; a Session differs only in what it asks the session itself."""

    is_async = False
    _holds_state = False

    def __init__(self, target: Any) -> None:
        self._target = target
        self._savepoints: list[Any] = []
        self._guards: list[tuple[Any, str, Callable[..., None]]] = []
        self._ends_autobegin = False
        self._begun: sa.Connection | None = None  # where we sent a BEGIN of our own
        self._refused: sa.Connection | None = None  # where a body tried to commit

    # -- what differs for a Session

    def _connection(self) -> sa.Connection:
        return self._target  # type: ignore[no-any-return]

    def _dialect_name(self) -> str:
        return self._target.dialect.name  # type: ignore[no-any-return]

    def _is_begun(self) -> bool:
        return self._target.in_transaction()  # type: ignore[no-any-return]

    def flush(self) -> None:
        pass

    # -- the effects

    def acquire(self) -> Any:
        if self._dialect_name() != "postgresql":
            raise UnknownConnectionKind(f"the SQLAlchemy dialect is {self._dialect_name()}, not postgresql")
        return self._target

    def lend(self) -> None:
        pass

    def give_back(self) -> None:
        self._unguard()

    def in_transaction(self) -> bool:
        if not self._is_begun():
            return False
        connection = self._connection()
        return not _is_autocommit(connection) or connection in _our_begins

    def begin(self, read_committed: bool) -> None:
        self._ends_autobegin = not self._is_begun()
        connection = self._connection()
        if not connection.in_transaction():
            connection.begin()
        if _is_autocommit(connection):
            connection.exec_driver_sql("begin")
            _our_begins.add(connection)
            self._begun = connection
        if read_committed:
            connection.exec_driver_sql("set transaction isolation level read committed")
        self._guard(connection)

    def commit(self) -> None:
        self._unguard()
        begun, self._begun = self._begun, None
        try:
            if begun is None:
                self._target.commit()
            else:
                _our_begins.discard(begun)
                begun.exec_driver_sql("commit")
                if self._ends_autobegin:
                    self._target.commit()
        except DBAPIError as error:
            if error.connection_invalidated:
                raise CommitLost from error
            raise

    def rollback(self) -> None:
        self._unguard()
        begun, self._begun = self._begun, None
        savepoints, self._savepoints = self._savepoints, []
        refused = self._rolled_back_refused_commit(begun)
        if begun is None:
            self._target.rollback()
            return
        _our_begins.discard(begun)
        usable = not refused and not begun.closed and not begun.invalidated
        if usable:
            for savepoint in reversed(savepoints):
                savepoint.rollback()
            begun.exec_driver_sql("rollback")
        if not usable or self._ends_autobegin or self._holds_state:
            self._target.rollback()

    def _rolled_back_refused_commit(self, begun: sa.Connection | None) -> bool:
        """SQLAlchemy takes a commit that was refused for the end of its transaction; on the server that is open still."""
        refused, self._refused = self._refused, None
        if refused is None or refused.closed or refused.invalidated:
            return False
        if begun is None:
            refused.connection.rollback()
        else:
            cursor = refused.connection.cursor()
            cursor.execute("rollback")
            cursor.close()
        return True

    def savepoint(self) -> None:
        self._guard(self._connection())
        self._savepoints.append(self._target.begin_nested())

    def release_savepoint(self) -> None:
        self._savepoints.pop().commit()

    def rollback_to_savepoint(self) -> None:
        self._savepoints.pop().rollback()

    def execute(self, sql: str, parameters: Parameters) -> Rows:
        answer = self._connection().execute(_text(sql), parameters)
        return [tuple(row) for row in answer] if answer.returns_rows else []

    # -- what a body may not do

    def _guard(self, connection: sa.Connection) -> None:
        if not self._guards:
            self._listen(connection, "commit", self._forbid_commit)
            if self._begun is not None:
                self._guard_our_begin(self._begun)

    def _guard_our_begin(self, begun: sa.Connection) -> None:
        self._listen(begun, "rollback", self._forbid_rollback)

    def _listen(self, target: Any, name: str, listener: Callable[..., None]) -> None:
        event.listen(target, name, listener)
        self._guards.append((target, name, listener))

    def _unguard(self) -> None:
        while self._guards:
            event.remove(*self._guards.pop())

    def _forbid_commit(self, connection: sa.Connection) -> None:
        self._refused = connection
        raise InvalidRequestError("commit() is forbidden inside a step: it commits when its block is left")

    def _forbid_rollback(self, _connection: sa.Connection) -> None:
        raise InvalidRequestError("rollback() is forbidden inside a step: leave its block by an exception")


class SessionLink(ConnectionLink):
    """An ORM Session. What it has not flushed belongs to the step."""

    _holds_state = True

    def _connection(self) -> sa.Connection:
        return self._target.connection()  # type: ignore[no-any-return]

    def _dialect_name(self) -> str:
        return self._bind().dialect.name  # type: ignore[no-any-return]

    def _bind(self) -> Any:
        try:
            return self._target.get_bind()
        except UnboundExecutionError:
            raise UnknownConnectionKind(
                "the SQLAlchemy session has no bind of its own", hint="pass a connection, or bind it: Session(engine)"
            ) from None

    def _is_begun(self) -> bool:
        bind = self._bind()
        return self._target.in_transaction() or (isinstance(bind, sa.Connection) and bind.in_transaction())

    def flush(self) -> None:
        self._target.flush()

    def _guard_our_begin(self, begun: sa.Connection) -> None:
        """A flush that fails rolls back by itself; what the session would begin after that is no part of the step."""

        def forbid_begin(_session: orm.Session, _transaction: Any, connection: sa.Connection) -> None:
            if connection is not begun:
                raise InvalidRequestError(
                    "the transaction of this step was rolled back: leave its block by an exception"
                )

        self._listen(self._target, "after_begin", forbid_begin)


def _is_autocommit(connection: sa.Connection) -> bool:
    return bool(getattr(connection.connection.dbapi_connection, "autocommit", False))


class AsyncLink:
    """An async Connection or Session: the synchronous link, run by SQLAlchemy's own bridge."""

    is_async = True

    def __init__(self, target: Any, make: Any) -> None:
        self._target = target
        self._make = make
        self._link: ConnectionLink | None = None

    async def acquire(self) -> Any:
        self._link = self._make()
        await self._target.run_sync(lambda _: self._link and self._link.acquire())
        return self._target

    def __getattr__(self, name: str) -> Any:
        """The other effects."""
        effect = getattr(self._link, name)

        async def run(*arguments: Any) -> Any:
            return await self._target.run_sync(lambda _: effect(*arguments))

        return run


class _Engine:
    def __init__(self, engine: sa.Engine) -> None:
        self.origin = engine
        self.take = engine.connect
        self.link: Any = ConnectionLink

    def give_back(self, conn: sa.Connection) -> None:
        conn.close()


class _Sessionmaker:
    def __init__(self, maker: orm.sessionmaker[Any]) -> None:
        self.origin = maker
        self.take = maker
        self.link: Any = SessionLink

    def give_back(self, conn: orm.Session) -> None:
        conn.close()


class _AsyncEngine:
    def __init__(self, engine: Any) -> None:
        self.origin = engine
        self.link: Any = _async_link

    async def take(self) -> Any:
        return await self.origin.connect()

    async def give_back(self, conn: Any) -> None:
        await conn.close()


class _AsyncSessionmaker:
    def __init__(self, maker: Any) -> None:
        self.origin = maker
        self.link: Any = _async_link

    async def take(self) -> Any:
        return self.origin()

    async def give_back(self, conn: Any) -> None:
        await conn.close()
