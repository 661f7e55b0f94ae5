"""`journal.sqlalchemy.bind`: transactions of an ORM belong to an agent session from their first write on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext import asyncio as sa_asyncio

import journal
import journal.sqlalchemy
from tests.journal.steps.support import column, one


class Base(orm.DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(always=True), primary_key=True)
    note: orm.Mapped[str]


ADD = sa.text("insert into notes (note) values ('text')")


@pytest.fixture
def engine(db: psycopg.Connection, dsn: str) -> Iterator[sa.Engine]:
    assert db is not None
    made = sa.create_engine(url(dsn))
    yield made
    made.dispose()


def url(dsn: str) -> sa.URL:
    return sa.make_url(dsn).set(drivername="postgresql+psycopg")


@contextmanager
def writing(maker: Any) -> Iterator[orm.Session]:
    with maker() as session, session.begin():
        yield session


def bound(watch: psycopg.Connection) -> list[Any]:
    """The session of each captured statement."""
    return column(watch, "select session_id from journal.statements order by statement_id")


WRITES: list[Callable[[orm.Session], Any]] = [
    lambda session: session.add(Note(note="orm")),
    lambda session: session.execute(sa.insert(Note).values(note="core")),
    lambda session: session.execute(sa.update(Note).values(note="all")),
    lambda session: session.execute(ADD),
    lambda session: session.execute(sa.text("with n as (select 1) insert into notes (note) select 'x' from n")),
]


@pytest.mark.parametrize("write", WRITES)
def test_the_first_write_binds(
    engine: sa.Engine, watch: psycopg.Connection, agent: journal.AgentSession, write: Callable[[orm.Session], Any]
) -> None:
    maker = orm.sessionmaker(engine)
    with writing(maker) as session:
        session.execute(ADD)  # before it is listened to: unbound
    journal.sqlalchemy.bind(maker, session_id=lambda: agent.id)
    for _ in range(2):
        with writing(maker) as session:
            write(session)
    assert bound(watch) == [None, agent.id, agent.id]
    assert journal.rollback(watch, agent).outcome == "done"
    assert one(watch, "select array_agg(note) from notes") == ["text"]


def test_reading_binds_nothing(engine: sa.Engine, watch: psycopg.Connection, agent: journal.AgentSession) -> None:
    maker = orm.sessionmaker(engine)
    journal.sqlalchemy.bind(maker, session_id=lambda: agent.id)
    with writing(maker) as session:
        session.execute(sa.text("set transaction read only"))
        assert session.scalars(sa.select(Note)).all() == []
        assert session.execute(sa.text("select count(*) from notes")).scalar() == 0
    assert one(watch, "select last_bound_at from journal.sessions") is None


def test_without_a_session_it_stays_unbound(engine: sa.Engine, watch: psycopg.Connection) -> None:
    maker = orm.scoped_session(orm.sessionmaker(engine))
    journal.sqlalchemy.bind(maker, session_id=lambda: None)
    with writing(maker) as session:
        session.execute(ADD)
    maker.remove()
    assert bound(watch) == [None]


def test_a_savepoint_that_took_the_binding_with_it_is_noticed(
    engine: sa.Engine, watch: psycopg.Connection, agent: journal.AgentSession
) -> None:
    maker = orm.sessionmaker(engine)
    journal.sqlalchemy.bind(maker, session_id=lambda: agent.id)
    with writing(maker) as session:
        savepoint = session.begin_nested()
        session.execute(ADD)
        savepoint.rollback()
        session.execute(ADD)
    assert bound(watch) == [agent.id]


def test_a_step_keeps_what_it_does(engine: sa.Engine, watch: psycopg.Connection, agent: journal.AgentSession) -> None:
    maker = orm.sessionmaker(engine)
    journal.sqlalchemy.bind(maker, session_id=lambda: agent.id)
    with journal.resume_session(maker, agent.id).step("note") as step:
        step.conn.add(Note(note="in the step"))
    assert column(watch, "select step_id from journal.statements") == [step.id]


def test_a_session_that_may_not_write_is_told_so(engine: sa.Engine, watch: psycopg.Connection) -> None:
    maker = orm.sessionmaker(engine)
    journal.sqlalchemy.bind(maker, session_id=uuid4)
    with pytest.raises(journal.UnknownSession), writing(maker) as session:
        session.add(Note(note="x"))
    assert one(watch, "select count(*) from notes") == 0
    with pytest.raises(journal.UnsupportedConnection):
        journal.sqlalchemy.bind(engine, session_id=uuid4)


async def test_on_an_async_sessionmaker(db: psycopg.Connection, dsn: str, watch: psycopg.Connection) -> None:
    assert db is not None
    engine = sa_asyncio.create_async_engine(url(dsn))
    maker = sa_asyncio.async_sessionmaker(engine)
    async with journal.open_session(engine, agent="bot") as agent:
        journal.sqlalchemy.bind(maker, session_id=lambda: agent.id)
        async with maker() as session, session.begin():
            session.add(Note(note="orm"))
    async with sa_asyncio.async_sessionmaker(engine)() as session, session.begin():
        await session.execute(ADD)  # another factory is left alone
    assert bound(watch) == [agent.id, None]
    await engine.dispose()
