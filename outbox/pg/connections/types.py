"""What may be passed as `conn`, for type checkers. Never imported at run time."""

from __future__ import annotations

from typing import Any

import psycopg
import psycopg_pool
from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_scoped_session, async_sessionmaker
from sqlalchemy.orm import Session, scoped_session, sessionmaker

Conn = (
    psycopg.Connection[Any]
    | psycopg_pool.ConnectionPool[Any]
    | Connection
    | Engine
    | Session
    | sessionmaker[Any]
    | scoped_session[Any]
)
AsyncConn = (
    psycopg.AsyncConnection[Any]
    | psycopg_pool.AsyncConnectionPool[Any]
    | AsyncConnection
    | AsyncEngine
    | AsyncSession
    | async_sessionmaker[Any]
    | async_scoped_session[Any]
)
