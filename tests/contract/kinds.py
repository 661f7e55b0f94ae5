"""The kinds of connections that the contract names. A kind enrols by one line in `KINDS`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

import psycopg
import psycopg_pool
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import orm
from sqlalchemy.ext import asyncio as sa_asyncio

Opened = Callable[[str, bool], Any]


async def settled(value: Any) -> Any:
    """The value, awaited where it is an awaitable: the suite is written once for both worlds."""
    return await value if isawaitable(value) else value


@dataclass(frozen=True)
class Kind:
    """One kind: `opened(dsn, autocommit)` is an async context manager of what is passed as `conn`."""

    name: str
    opened: Opened
    is_async: bool = False
    pooled: bool = False
    alchemy: bool = False


async def execute(conn: Any, sql: str) -> None:
    """Run SQL as a user of that connection would."""
    if type(conn).__module__.startswith("sqlalchemy"):
        await settled(conn.execute(sa.text(sql)))
    else:
        await settled(conn.execute(sql))


async def value(conn: Any, sql: str) -> Any:
    """The first column of the first row."""
    if type(conn).__module__.startswith("sqlalchemy"):
        return (await settled(conn.execute(sa.text(sql)))).scalar()
    row = await settled((await settled(conn.execute(sql))).fetchone())
    return row[0]


@asynccontextmanager
async def entered(manager: Any) -> AsyncIterator[Any]:
    """Enter a session or step of either world."""
    if hasattr(manager, "__aenter__"):
        async with manager as inner:
            yield inner
    else:
        with manager as inner:
            yield inner


# -- psycopg


@asynccontextmanager
async def _psycopg(dsn: str, autocommit: bool) -> AsyncIterator[Any]:
    with psycopg.connect(dsn, autocommit=autocommit) as conn:
        yield conn


@asynccontextmanager
async def _psycopg_async(dsn: str, autocommit: bool) -> AsyncIterator[Any]:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=autocommit) as conn:
        yield conn


@asynccontextmanager
async def _pool(dsn: str, autocommit: bool) -> AsyncIterator[Any]:
    with psycopg_pool.ConnectionPool(dsn, min_size=0, max_size=2, kwargs={"autocommit": autocommit}, open=True) as pool:
        yield pool


@asynccontextmanager
async def _pool_async(dsn: str, autocommit: bool) -> AsyncIterator[Any]:
    pool = psycopg_pool.AsyncConnectionPool(dsn, min_size=0, max_size=2, kwargs={"autocommit": autocommit}, open=False)
    async with pool:
        yield pool


# -- SQLAlchemy


def _url(dsn: str, driver: str) -> sa.URL:
    parts = conninfo_to_dict(dsn)
    host, port = str(parts["host"]), int(str(parts["port"]))
    return sa.URL.create(
        f"postgresql+{driver}",
        username=str(parts["user"]),
        password=str(parts["password"]) if "password" in parts else None,
        host=host,
        port=port,
        database=str(parts["dbname"]),
    )


def _options(autocommit: bool) -> dict[str, Any]:
    return {"isolation_level": "AUTOCOMMIT"} if autocommit else {}


def _alchemy(of_engine: Callable[[sa.Engine], Any], driver: str = "psycopg") -> Opened:
    @asynccontextmanager
    async def opened(dsn: str, autocommit: bool) -> AsyncIterator[Any]:
        engine = sa.create_engine(_url(dsn, driver), **_options(autocommit))
        conn = of_engine(engine)
        try:
            yield conn
        finally:
            if hasattr(conn, "close"):
                conn.close()
            engine.dispose()

    return opened


def _alchemy_async(of_engine: Callable[[sa_asyncio.AsyncEngine], Any], driver: str = "psycopg") -> Opened:
    @asynccontextmanager
    async def opened(dsn: str, autocommit: bool) -> AsyncIterator[Any]:
        engine = sa_asyncio.create_async_engine(_url(dsn, driver), **_options(autocommit))
        conn = of_engine(engine)
        try:
            yield await conn if isinstance(conn, sa_asyncio.AsyncConnection) else conn
        finally:
            if hasattr(conn, "close"):
                await conn.close()
            await engine.dispose()

    return opened


def _same(engine: Any) -> Any:
    return engine


KINDS = (
    Kind("psycopg", _psycopg),
    Kind("psycopg-async", _psycopg_async, is_async=True),
    Kind("psycopg-pool", _pool, pooled=True),
    Kind("psycopg-async-pool", _pool_async, is_async=True, pooled=True),
    Kind("sqlalchemy-connection", _alchemy(sa.Engine.connect), alchemy=True),
    Kind("sqlalchemy-session", _alchemy(orm.Session), alchemy=True),
    Kind("sqlalchemy-session-psycopg2", _alchemy(orm.Session, "psycopg2"), alchemy=True),
    Kind("sqlalchemy-scoped", _alchemy(lambda e: orm.scoped_session(orm.sessionmaker(e))), alchemy=True),
    Kind("sqlalchemy-engine", _alchemy(_same), pooled=True, alchemy=True),
    Kind("sqlalchemy-sessionmaker", _alchemy(orm.sessionmaker), pooled=True, alchemy=True),
    Kind("sqlalchemy-async-connection", _alchemy_async(sa_asyncio.AsyncEngine.connect), is_async=True, alchemy=True),
    Kind("sqlalchemy-async-session", _alchemy_async(sa_asyncio.AsyncSession), is_async=True, alchemy=True),
    Kind(
        "sqlalchemy-async-session-asyncpg",
        _alchemy_async(sa_asyncio.AsyncSession, "asyncpg"),
        is_async=True,
        alchemy=True,
    ),
    Kind("sqlalchemy-async-engine", _alchemy_async(_same), is_async=True, pooled=True, alchemy=True),
    Kind(
        "sqlalchemy-async-sessionmaker",
        _alchemy_async(sa_asyncio.async_sessionmaker),
        is_async=True,
        pooled=True,
        alchemy=True,
    ),
)
