"""What an ORM session holds back belongs to the step, and what a step undoes the session forgets."""

# ruff: noqa: PT012  what is tested is the body of a step, in its session

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.exc import IntegrityError, InvalidRequestError

import journal
import outbox
from tests.journal.steps.support import column, notes, one


class Base(orm.DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    status: orm.Mapped[str]


class Note(Base):
    __tablename__ = "notes"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    note: orm.Mapped[str]


@pytest.fixture(params=["READ COMMITTED", "AUTOCOMMIT", "SERIALIZABLE"])
def engine(request: pytest.FixtureRequest, db: psycopg.Connection, dsn: str) -> Iterator[sa.Engine]:
    assert db is not None
    made = sa.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), isolation_level=request.param
    )
    yield made
    made.dispose()


@pytest.fixture
def session(engine: sa.Engine) -> Iterator[orm.Session]:
    with orm.Session(engine) as made:
        yield made


@pytest.fixture
def bot(session: orm.Session) -> journal.AgentSession:
    return journal.open_session(session, agent="bot")


def test_pending_objects_are_part_of_the_step(
    session: orm.Session, bot: journal.AgentSession, watch: psycopg.Connection
) -> None:
    with bot.step("refund", key="k") as step:
        order = session.get_one(Order, 42)
        order.status = "refunded"
        session.add(Note(note="refunded"))
        outbox.publish(session, topic="refunds")
    assert step.receipt is not None
    assert step.receipt.changes == {"public.orders": {"update": 1}, "public.notes": {"insert": 1}}
    assert one(watch, "select status from orders where id = 42") == "refunded"
    assert order.status == "refunded"


def test_pending_objects_of_a_replay_are_writes(
    session: orm.Session, bot: journal.AgentSession, watch: psycopg.Connection
) -> None:
    with bot.step("refund", key="k"):
        pass
    with pytest.raises(journal.ReplayedStepWrites), bot.step("refund", key="k"):
        session.add(Note(note="again"))
    assert notes(watch) == 0
    assert not session.in_transaction()
    assert list(session.new) == []


def test_a_step_that_fails_is_forgotten_by_the_session(
    session: orm.Session, bot: journal.AgentSession, watch: psycopg.Connection
) -> None:
    with pytest.raises(ZeroDivisionError), bot.step("refund"):
        session.get_one(Order, 42).status = "refunded"
        session.add(Note(note="x"))
        session.flush()
        raise ZeroDivisionError
    assert session.get_one(Order, 42).status == "new"
    assert notes(watch) == 0


def test_an_integrity_error_at_the_flush_fails_the_step(
    session: orm.Session, bot: journal.AgentSession, watch: psycopg.Connection
) -> None:
    with pytest.raises(IntegrityError), bot.step("order", key="k"):
        session.add(Order(id=42, status="twice"))
    assert not session.in_transaction()
    assert column(watch, "select error ->> 'sqlstate' from journal.steps") == ["23505"]
    with bot.step("order", key="k") as step:
        session.add(Order(id=44, status="once"))
    assert not step.replayed
    assert one(watch, "select count(*) from orders") == 3


def test_the_body_may_nest(session: orm.Session, bot: journal.AgentSession, watch: psycopg.Connection) -> None:
    with bot.step("note") as step:
        session.add(Note(note="kept"))
        with pytest.raises(IntegrityError), session.begin_nested():
            session.add(Order(id=42, status="twice"))
        session.add(Note(note="kept too"))
    assert step.receipt is not None
    assert notes(watch) == 2


def test_rollback_in_the_body_fails_the_step(
    session: orm.Session, bot: journal.AgentSession, watch: psycopg.Connection
) -> None:
    with pytest.raises((journal.ConnectionUseError, InvalidRequestError)), bot.step("note", key="k"):
        session.add(Note(note="x"))
        session.flush()
        session.rollback()
        session.add(Note(note="y"))
        session.flush()
    assert not session.in_transaction()
    assert notes(watch) == 0
    with bot.step("note", key="k") as step:
        assert not step.replayed


def test_rollback_of_a_connection_in_the_body_fails_the_step(engine: sa.Engine, watch: psycopg.Connection) -> None:
    write = sa.text("insert into notes (note) values ('x')")
    with engine.connect() as connection:
        bot = journal.open_session(connection, agent="bot")
        with pytest.raises((journal.ConnectionUseError, InvalidRequestError)), bot.step("note", key="k"):
            connection.execute(write)
            connection.rollback()
            connection.execute(write)
        assert not connection.in_transaction()
        assert notes(watch) == 0
        with bot.step("note", key="k") as step:
            assert not step.replayed


def test_a_session_without_a_bind_of_its_own_is_refused() -> None:
    with orm.Session() as session, pytest.raises(journal.UnsupportedConnection, match="bind"):
        journal.open_session(session, agent="bot")


def test_a_session_that_is_bound_to_a_connection(engine: sa.Engine, watch: psycopg.Connection) -> None:
    """As test suites do: the connection's transaction is the caller's, whatever the session thinks."""
    with engine.connect() as connection, orm.Session(bind=connection) as session:
        if connection.get_isolation_level() == "AUTOCOMMIT" or connection.connection.dbapi_connection.autocommit:  # type: ignore[union-attr]
            pytest.skip("nobody can have a transaction open here")
        bot = journal.open_session(session, agent="bot")
        outer = connection.begin()
        with pytest.raises(journal.TransactionOpen), bot.step("note"):
            pytest.fail("the body ran")
        with bot.step("note", join=True) as step:
            session.add(Note(note="x"))
        assert step.joined
        outer.rollback()
    assert notes(watch) == 0


def test_another_database_is_no_connection_of_ours() -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection, pytest.raises(journal.UnsupportedConnection, match="sqlite"):
        journal.open_session(connection, agent="bot")
    with orm.Session(engine) as session, pytest.raises(journal.UnsupportedConnection, match="sqlite"):
        journal.open_session(session, agent="bot")
    with pytest.raises(journal.UnsupportedConnection, match="sqlite"):
        journal.open_session(engine, agent="bot")
    engine.dispose()
