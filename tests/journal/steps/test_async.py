"""What only asynchronous callers can do: cancel, forget to await, and work side by side."""

# ruff: noqa: PT012  what is tested is the body of a step, in its session

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import psycopg_pool
import pytest
from psycopg.pq import TransactionStatus

import journal
import outbox
from tests.journal.steps.support import column, notes, one, wait_until, wait_until_blocked

NOTE = "insert into notes (note) values ('x')"


@pytest.fixture
async def conn(db: psycopg.Connection, dsn: str) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=db.autocommit) as made:
        yield made


@pytest.fixture
async def pool(db: psycopg.Connection, dsn: str) -> AsyncIterator[psycopg_pool.AsyncConnectionPool]:
    options = {"autocommit": db.autocommit}
    async with psycopg_pool.AsyncConnectionPool(dsn, min_size=0, max_size=4, kwargs=options, open=False) as made:
        yield made


async def test_open_session_is_awaited_or_entered(conn: psycopg.AsyncConnection, watch: psycopg.Connection) -> None:
    session = await journal.open_session(conn, agent="bot")
    assert isinstance(session, journal.AsyncAgentSession)
    async with journal.open_session(conn, agent="bot") as entered:
        assert journal.current_session() is entered
        async with entered.child(agent="helper") as child:
            assert journal.current_session() is child
    await session.close()
    assert column(watch, "select distinct status from journal.sessions") == ["closed"]
    async with journal.resume_session(conn, (await journal.open_session(conn, agent="bot")).id) as resumed:
        pass
    assert one(watch, "select status from journal.sessions where session_id = %s", resumed.id) == "open"


async def test_tasks_that_share_a_session_leave_it_by_themselves(conn: psycopg.AsyncConnection) -> None:
    opened = await journal.open_session(conn, agent="bot")
    session = await journal.resume_session(conn, opened.id)  # leaving it does not close it
    both_in, one_out = asyncio.Barrier(2), asyncio.Event()

    async def first() -> None:
        async with session:
            await both_in.wait()
        one_out.set()
        with pytest.raises(LookupError):
            journal.current_session()

    async def second() -> None:
        async with opened, session:
            await both_in.wait()
            await one_out.wait()
            assert journal.current_session() is session
        with pytest.raises(LookupError):
            journal.current_session()

    await asyncio.gather(first(), second())
    with pytest.raises(LookupError):
        journal.current_session()


async def test_run_takes_a_coroutine_function(conn: psycopg.AsyncConnection, watch: psycopg.Connection) -> None:
    session = await journal.open_session(conn, agent="bot")

    async def work(step: journal.AsyncStep) -> str:
        await step.conn.execute(NOTE)
        return "noted"

    first = await session.run("note", work, key="k")
    again = await session.run("note", work, key="k")
    assert (first.result, again.result, again.replayed) == ("noted", "noted", True)
    assert notes(watch) == 1


async def test_publish_that_is_not_awaited_fails_the_step(
    conn: psycopg.AsyncConnection, watch: psycopg.Connection
) -> None:
    session = await journal.open_session(conn, agent="bot")
    with pytest.raises(outbox.OutboxError, match="not awaited"):
        async with session.step("note", key="k") as step:
            await conn.execute(NOTE)
            outbox.publish(step.conn, topic="notes")
    assert notes(watch) == 0
    assert column(watch, "select status from journal.steps") == ["failed"]
    async with session.step("note", key="k") as step:
        published = outbox.publish(step.conn, topic="notes")
        await published
    assert len(column(watch, "select 1 from outbox.messages")) == 1


async def test_complete_that_is_not_awaited_loses_nothing(conn: psycopg.AsyncConnection) -> None:
    session = await journal.open_session(conn, agent="bot")
    async with session.step("note", key="k") as step:
        step.complete(7)
    assert step.result == 7


async def test_another_task_cannot_step_on_a_busy_connection(
    conn: psycopg.AsyncConnection, watch: psycopg.Connection
) -> None:
    session = await journal.open_session(conn, agent="bot")

    async def other(join: bool) -> None:
        async with session.step("other", join=join):
            pytest.fail("the body ran")

    async with session.step("note"):
        for join in (False, True):
            with pytest.raises(journal.ConcurrentStep):
                await asyncio.create_task(other(join))
        await conn.execute(NOTE)
    assert notes(watch) == 1
    async with session.step("note"):
        pass


async def test_a_cancelled_step_rolls_back(conn: psycopg.AsyncConnection, watch: psycopg.Connection) -> None:
    session = await journal.open_session(conn, agent="bot")
    begun = asyncio.Event()

    async def work() -> None:
        async with session.step("note", key="k"):
            await conn.execute(NOTE)
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert notes(watch) == 0
    assert conn.info.transaction_status == TransactionStatus.IDLE
    assert column(watch, "select status from journal.steps") == ["failed"]
    async with session.step("note", key="k") as step:
        assert not step.replayed


async def test_cancelled_while_it_waits_for_the_database(
    conn: psycopg.AsyncConnection, watch: psycopg.Connection
) -> None:
    session = await journal.open_session(conn, agent="bot")

    async def work() -> None:
        async with session.step("note", key="k"):
            await conn.execute(NOTE)
            await conn.execute("select pg_sleep(60)")

    task = asyncio.create_task(work())
    query = "select wait_event = 'PgSleep' from pg_stat_activity where pid = %s"
    await asyncio.to_thread(wait_until, lambda: bool(one(watch, query, conn.info.backend_pid)))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert notes(watch) == 0
    assert conn.info.transaction_status == TransactionStatus.IDLE
    async with session.step("note", key="k") as step:
        await conn.execute(NOTE)
    assert not step.replayed
    assert notes(watch) == 1


async def test_cancelled_while_it_waits_for_the_key(
    conn: psycopg.AsyncConnection, db: psycopg.Connection, watch: psycopg.Connection
) -> None:
    session = await journal.open_session(conn, agent="bot")
    holder = journal.open_session(db, agent="holder")

    async def work() -> None:
        async with session.step("note", key="k"):
            pytest.fail("the body ran")

    with holder.step("note", key="k"):
        task = asyncio.create_task(work())
        await asyncio.to_thread(wait_until_blocked, watch, conn.info.backend_pid)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert conn.info.transaction_status == TransactionStatus.IDLE
    async with session.step("note", key="k") as step:
        assert step.replayed


async def test_a_timeout_around_a_step(conn: psycopg.AsyncConnection, watch: psycopg.Connection) -> None:
    session = await journal.open_session(conn, agent="bot")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            async with session.step("note", key="k"):
                await conn.execute(NOTE)
                await conn.execute("select pg_sleep(60)")
    assert notes(watch) == 0
    assert conn.info.transaction_status == TransactionStatus.IDLE


async def test_tasks_work_side_by_side_on_a_pool(
    pool: psycopg_pool.AsyncConnectionPool, watch: psycopg.Connection
) -> None:
    session = await journal.open_session(pool, agent="bot")

    async def work(key: str) -> bool:
        async with session.step("note", key=key) as step:
            if not step.replayed:
                await step.conn.execute(NOTE)
        return step.replayed

    replayed = await asyncio.gather(*(work(f"k{n % 5}") for n in range(20)))
    assert sum(replayed) == 15
    assert notes(watch) == 5


async def test_inside_a_step_the_pool_means_its_connection(
    pool: psycopg_pool.AsyncConnectionPool, watch: psycopg.Connection
) -> None:
    session = await journal.open_session(pool, agent="bot")
    with pytest.raises(ZeroDivisionError):
        async with session.step("note") as outer:
            await outbox.publish(pool, topic="notes")
            async with session.step("inner", join=True) as inner:
                assert inner.conn is outer.conn
                await inner.conn.execute(NOTE)
            raise ZeroDivisionError
    assert notes(watch) == 0
    assert column(watch, "select 1 from outbox.messages") == []
    await outbox.publish(pool, topic="notes")
    assert column(watch, "select step_id from outbox.messages") == [None]
    assert pool.get_stats()["pool_size"] == pool.get_stats()["pool_available"]


async def test_other_tasks_get_connections_of_their_own_while_a_step_is_open(
    pool: psycopg_pool.AsyncConnectionPool, watch: psycopg.Connection
) -> None:
    session = await journal.open_session(pool, agent="bot")

    async def other() -> None:
        async with session.step("other") as step:
            await step.conn.execute(NOTE)

    async with session.step("note"):
        await asyncio.create_task(other())
        assert notes(watch) == 1


async def test_nothing_is_left_checked_out(pool: psycopg_pool.AsyncConnectionPool) -> None:
    session = await journal.open_session(pool, agent="bot")
    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            async with session.step("note"):
                raise ZeroDivisionError
        with pytest.raises(journal.InvalidKey):
            async with session.step("note", key=""):
                pytest.fail("the body ran")
        with pytest.raises(journal.UnknownReceipt):
            await journal.receipt(pool, session.id)
    assert pool.get_stats()["pool_size"] == pool.get_stats()["pool_available"]


async def test_another_thread_cannot_step_on_a_busy_connection(db: psycopg.Connection) -> None:
    session = journal.open_session(db, agent="bot")

    def other() -> None:
        with session.step("other", join=True):
            pytest.fail("the body ran")

    with session.step("note"), pytest.raises(journal.ConcurrentStep):
        await asyncio.to_thread(other)


async def test_a_step_may_be_left_in_another_thread(db: psycopg.Connection, watch: psycopg.Connection) -> None:
    """As frameworks do that run the parts of a dependency in a pool of threads."""
    session = journal.open_session(db, agent="bot")
    step = session.step("note")
    await asyncio.to_thread(step.__enter__)
    await asyncio.to_thread(db.execute, NOTE)
    await asyncio.to_thread(step.__exit__, None, None, None)
    assert step.receipt is not None
    assert notes(watch) == 1


async def test_an_asynchronous_generator_that_is_closed_inside_a_step(
    conn: psycopg.AsyncConnection, watch: psycopg.Connection
) -> None:
    """As frameworks do with dependencies when a request is given up."""
    session = await journal.open_session(conn, agent="bot")

    async def dependency() -> AsyncIterator[journal.AsyncStep]:
        async with session.step("note", key="k") as step:
            await conn.execute(NOTE)
            yield step

    running = dependency()
    await anext(running)
    await running.aclose()  # type: ignore[attr-defined]
    assert notes(watch) == 0
    assert conn.info.transaction_status == TransactionStatus.IDLE
