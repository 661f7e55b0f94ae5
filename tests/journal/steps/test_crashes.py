"""The server, the client or the line between them dies: at every point, either all of a step happened or nothing."""

# ruff: noqa: PT012  what is tested is the body of a step, in its session

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.ext import asyncio as sa_asyncio

import journal
import outbox
from tests.journal.steps.conftest import Connect
from tests.journal.steps.support import Beside, Line, column, note, notes, one, one_step, wait_until

DRIVERS = ["psycopg", "sqlalchemy", "sqlalchemy-autocommit", "sqlalchemy-psycopg2"]
ASYNC_DRIVERS = ["psycopg", "sqlalchemy-psycopg", "sqlalchemy-asyncpg", "sqlalchemy-asyncpg-autocommit"]


@pytest.fixture
def line(dsn: str) -> Iterator[Line]:
    made = Line(dsn)
    yield made
    made.close()


@pytest.fixture(params=DRIVERS)
def cut(request: pytest.FixtureRequest, line: Line, db: psycopg.Connection) -> Iterator[Any]:
    """A connection over the line that can be cut, by each driver."""
    assert db is not None
    if request.param == "psycopg":
        with psycopg.connect(line.dsn) as conn:
            yield conn
        return
    options = {"isolation_level": "AUTOCOMMIT"} if request.param.endswith("autocommit") else {}
    driver = "psycopg2" if request.param.endswith("psycopg2") else "psycopg"
    engine = sa.create_engine(url(line.dsn, driver), **options)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture(params=ASYNC_DRIVERS)
async def async_cut(request: pytest.FixtureRequest, line: Line, db: psycopg.Connection) -> AsyncIterator[Any]:
    """The same for asynchronous drivers."""
    assert db is not None
    if request.param == "psycopg":
        async with await psycopg.AsyncConnection.connect(line.dsn) as conn:
            yield conn
        return
    options = {"isolation_level": "AUTOCOMMIT"} if request.param.endswith("autocommit") else {}
    engine = sa_asyncio.create_async_engine(url(line.dsn, request.param.split("-")[1]), **options)
    async with sa_asyncio.AsyncSession(engine) as session:
        yield session
    await engine.dispose()


def url(dsn: str, driver: str) -> sa.URL:
    parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items()}
    return sa.URL.create(
        f"postgresql+{driver}",
        username=parts["user"],
        password=parts.get("password"),
        host=parts["host"],
        port=int(parts["port"]),
        database=parts["dbname"],
    )


def write(conn: Any) -> None:
    statement = "insert into notes (note) values ('x')"
    conn.execute(sa.text(statement) if isinstance(conn, sa.Connection) else statement)


def test_a_lost_reply_to_commit_is_an_unknown_outcome(cut: Any, line: Line, watch: psycopg.Connection) -> None:
    agent = journal.open_session(cut, agent="bot")
    line.lose_reply()
    with pytest.raises(journal.OutcomeUnknown) as caught, agent.step("note", key="k") as step:
        write(cut)
        step.complete("done")
    assert caught.value.retryable
    assert (caught.value.tool, caught.value.key) == ("note", "k")
    assert "same key" in str(caught.value.hint)
    wait_until(lambda: notes(watch) == 1)
    again = one_step(watch, "k")
    assert again.replayed
    assert again.result == "done"
    assert notes(watch) == 1


@pytest.mark.parametrize("lost", ["lose_commit", "lose_reply"])
def test_every_commit_of_ours_may_be_lost(dsn: str, connect: Connect, lost: str) -> None:
    """Whoever called is told so in our words, and what to do."""
    agent = journal.open_session(connect(), agent="bot")
    receipt = agent.run("look", lambda _: None, key=None).receipt
    assert receipt is not None
    calls: list[Callable[[journal.AgentSession, psycopg.Connection], object]] = [
        lambda _, conn: journal.open_session(conn, agent="bot"),
        lambda _, conn: journal.confirm(conn, receipt.id, "mailer"),
        lambda session, _: session.claim("noted", receipt=receipt),
        lambda session, _: session.external("charge", key="k").__enter__(),
        lambda _, conn: outbox.publish(conn, topic="notes"),
        lambda _, conn: outbox.inbox(conn, "mailer", "1").__enter__().__exit__(None, None, None),
    ]
    for call in calls:
        line = Line(dsn)
        with psycopg.connect(line.dsn, autocommit=True) as cut:
            session = journal.resume_session(cut, agent.id)
            getattr(line, lost)()
            with pytest.raises((journal.OutcomeUnknown, outbox.OutboxError), match="lost during COMMIT") as caught:
                call(session, cut)
            assert caught.value.hint
        line.close()


def test_a_lost_commit_is_an_unknown_outcome_too(cut: Any, line: Line, watch: psycopg.Connection) -> None:
    agent = journal.open_session(cut, agent="bot")
    line.lose_commit()
    with pytest.raises(journal.OutcomeUnknown), agent.step("note", key="k") as step:
        write(cut)
        step.complete("done")
    again = one_step(watch, "k")
    assert not again.replayed
    assert notes(watch) == 1


@pytest.mark.parametrize("lost", ["reply", "commit"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_asynchronous_drivers_do_not_know_either(
    async_cut: Any, line: Line, watch: psycopg.Connection, lost: str
) -> None:
    if (
        lost == "commit"
        and isinstance(async_cut, sa_asyncio.AsyncSession)
        and async_cut.get_bind().dialect.driver == "asyncpg"
    ):
        pytest.skip("asyncpg prepares its COMMIT beforehand: the line cannot see it")
    agent = await journal.open_session(async_cut, agent="bot")
    getattr(line, f"lose_{lost}")()
    with pytest.raises(journal.OutcomeUnknown):
        async with agent.step("note", key="k"):
            statement = "insert into notes (note) values ('x')"
            await async_cut.execute(sa.text(statement) if isinstance(async_cut, sa_asyncio.AsyncSession) else statement)
    if lost == "reply":
        wait_until(lambda: notes(watch) == 1)
    assert one_step(watch, "k").replayed is (lost == "reply")
    assert notes(watch) == 1


def test_a_backend_that_dies_in_its_commit_leaves_the_outcome_unknown(
    db: psycopg.Connection, connect: Connect, watch: psycopg.Connection
) -> None:
    sleep_at_commit(watch)
    conn = connect()
    agent = journal.open_session(conn, agent="bot")
    pid = conn.info.backend_pid

    def kill_it() -> None:
        wait_until(lambda: bool(one(watch, "select wait_event = 'PgSleep' from pg_stat_activity where pid = %s", pid)))
        watch.execute("select pg_terminate_backend(%s)", (pid,))

    killer = Beside(kill_it)
    with pytest.raises(journal.OutcomeUnknown), agent.step("note", key="k"):
        note(conn)
    killer.outcome()
    assert notes(watch) == 0
    watch.execute("drop trigger sleep on notes")
    assert not one_step(watch, "k").replayed
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


async def test_cancelled_in_its_commit(db: psycopg.Connection, dsn: str, watch: psycopg.Connection) -> None:
    """Whatever became of the commit, the key knows."""
    assert db is not None
    sleep_at_commit(watch)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        agent = await journal.open_session(conn, agent="bot")
        pid = conn.info.backend_pid

        async def work() -> None:
            async with agent.step("note", key="k"):
                await conn.execute("insert into notes (note) values ('x')")

        task = asyncio.create_task(work())
        query = "select wait_event = 'PgSleep' from pg_stat_activity where pid = %s"
        await asyncio.to_thread(wait_until, lambda: bool(one(watch, query, pid)))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    watch.execute("drop trigger sleep on notes")
    assert notes(watch) == 0
    assert not one_step(watch, "k").replayed
    assert notes(watch) == 1


def sleep_at_commit(conn: psycopg.Connection) -> None:
    """Commits of new notes take a minute, unless someone is impatient."""
    conn.execute(
        "create function sleep() returns trigger language plpgsql as $$ begin perform pg_sleep(60); return null; end $$"
    )
    conn.execute(
        "create constraint trigger sleep after insert on notes deferrable initially deferred "
        "for each row execute function sleep()"
    )


def test_after_an_unknown_outcome_the_session_goes_on_over_a_new_line(
    line: Line, db: psycopg.Connection, watch: psycopg.Connection
) -> None:
    assert db is not None
    with psycopg.connect(line.dsn) as conn:
        agent = journal.open_session(conn, agent="bot")
        line.lose_reply()
        with pytest.raises(journal.OutcomeUnknown), agent.step("note", key="k"):
            note(conn)
    resumed = journal.resume_session(watch, agent.id)
    with resumed.step("note", key="k") as step:
        assert step.replayed
    assert column(watch, "select status from journal.steps order by ordinal") == ["completed", "replayed"]


def kill(watch: psycopg.Connection, conn: psycopg.Connection) -> None:
    pid = conn.info.backend_pid
    watch.execute("select pg_terminate_backend(%s)", (pid,))
    wait_until(lambda: not one(watch, "select count(*) from pg_stat_activity where pid = %s", pid))


def killed_before_anything(watch: psycopg.Connection, conn: psycopg.Connection, agent: journal.AgentSession) -> None:
    kill(watch, conn)
    with agent.step("note", key="k"):
        pytest.fail("the body ran")


def killed_as_the_body_begins(watch: psycopg.Connection, conn: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("note", key="k"):
        kill(watch, conn)
        note(conn)


def killed_after_the_write(watch: psycopg.Connection, conn: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("note", key="k") as step:
        note(conn)
        outbox.publish(conn, topic="notes")
        step.complete("done")
        kill(watch, conn)


def killed_and_hidden(watch: psycopg.Connection, conn: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("note", key="k"):
        note(conn)
        kill(watch, conn)
        with contextlib.suppress(psycopg.OperationalError):
            note(conn)


def killed_in_a_replay(watch: psycopg.Connection, conn: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("note", key="other"):
        pass
    with agent.step("note", key="other"):
        kill(watch, conn)


@pytest.mark.parametrize(
    "crash",
    [killed_before_anything, killed_as_the_body_begins, killed_after_the_write, killed_and_hidden, killed_in_a_replay],
)
def test_a_backend_that_dies_before_the_commit_leaves_nothing(
    db: psycopg.Connection, connect: Connect, watch: psycopg.Connection, crash: Any
) -> None:
    assert db is not None
    conn = connect()
    agent = journal.open_session(conn, agent="bot")
    with pytest.raises(psycopg.OperationalError):
        crash(watch, conn, agent)
    assert notes(watch) == 0
    assert column(watch, "select 1 from outbox.messages") == []
    assert not one_step(watch, "k").replayed
    assert notes(watch) == 1


def test_a_session_whose_connection_died_says_that_it_stays_open(
    db: psycopg.Connection, connect: Connect, watch: psycopg.Connection
) -> None:
    assert db is not None
    conn = connect()
    with pytest.raises(ZeroDivisionError) as caught, journal.open_session(conn, agent="bot"):
        kill(watch, conn)
        raise ZeroDivisionError
    assert any("could not be closed" in text for text in caught.value.__notes__)
    assert column(watch, "select status from journal.sessions") == ["open"]


_INTERRUPTED = """
import sys, psycopg, journal
conn = psycopg.connect(sys.argv[1], autocommit=True)
agent = journal.open_session(conn, agent="bot")
try:
    with agent.step("note", key="k") as step:
        conn.execute("insert into notes (note) values ('x')")
        print(conn.info.backend_pid, flush=True)
        conn.execute("select pg_sleep(60)")
except KeyboardInterrupt:
    print(conn.info.transaction_status.name, flush=True)
    sys.exit(130)
"""


def test_ctrl_c(db: psycopg.Connection, dsn: str, watch: psycopg.Connection) -> None:
    assert db is not None
    with subprocess.Popen([sys.executable, "-c", _INTERRUPTED, dsn], stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        wait_until(lambda: bool(one(watch, "select wait_event = 'PgSleep' from pg_stat_activity where pid = %s", pid)))
        client.send_signal(signal.SIGINT)
        assert client.stdout.readline().strip() == "IDLE"
        assert client.wait() == 130
    assert notes(watch) == 0
    assert column(watch, "select error ->> 'type' from journal.steps") == ["builtins.KeyboardInterrupt"]
    assert not one_step(watch, "k").replayed


_CLIENT = """
import os, sys, psycopg, journal
point = sys.argv[2]
conn = psycopg.connect(sys.argv[1], autocommit=True)
agent = journal.open_session(conn, agent="bot")
with agent.step("note", key="k") as step:
    if point == "begun":
        os._exit(9)
    conn.execute("insert into notes (note) values ('x')")
    if point == "written":
        os._exit(9)
    step.complete("done")
    if point == "completed":
        os._exit(9)
os._exit(9)
"""


@pytest.mark.parametrize(("point", "done"), [("begun", 0), ("written", 0), ("completed", 0), ("committed", 1)])
def test_a_client_that_dies(db: psycopg.Connection, dsn: str, watch: psycopg.Connection, point: str, done: int) -> None:
    assert db is not None
    finished = subprocess.run([sys.executable, "-c", _CLIENT, dsn, point], check=False)
    assert finished.returncode == 9
    again = one_step(watch, "k")
    assert again.replayed is bool(done)
    assert notes(watch) == 1
    assert sorted(column(watch, "select status from journal.steps")) == ["completed", "replayed"][: done + 1]
