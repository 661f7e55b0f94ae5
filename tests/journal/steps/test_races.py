"""Two callers of one key: the second waits, bounded, and never runs."""

# ruff: noqa: PT012  what is tested is the body of a step, in its session

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

import journal
from tests.journal.steps.conftest import Connect
from tests.journal.steps.support import (
    Beside,
    column,
    note,
    notes,
    one,
    one_step,
    wait_until_blocked,
)

LEVELS = [
    psycopg.IsolationLevel.READ_COMMITTED,
    psycopg.IsolationLevel.REPEATABLE_READ,
    psycopg.IsolationLevel.SERIALIZABLE,
]


@pytest.fixture(params=LEVELS, ids=lambda level: level.name.lower())
def second(request: pytest.FixtureRequest, db: psycopg.Connection, connect: Connect) -> psycopg.Connection:
    """The second caller's connection, at each isolation level."""
    assert db is not None
    conn = connect()
    conn.isolation_level = request.param
    return conn


def test_the_second_caller_waits_and_gets_the_first_ones_result(
    db: psycopg.Connection, agent: journal.AgentSession, second: psycopg.Connection, watch: psycopg.Connection
) -> None:
    with agent.step("note", key="k") as step:
        beside = Beside(lambda: one_step(second, "k"))
        wait_until_blocked(watch, second.info.backend_pid)
        note(db)
        step.complete("first")
    other = beside.outcome()
    assert (other.replayed, other.result, other.receipt) == (True, "first", step.receipt)
    assert notes(watch) == 1


def test_the_second_caller_runs_when_the_first_one_fails(
    db: psycopg.Connection, agent: journal.AgentSession, second: psycopg.Connection, watch: psycopg.Connection
) -> None:
    with pytest.raises(ZeroDivisionError), agent.step("note", key="k"):
        beside = Beside(lambda: one_step(second, "k"))
        wait_until_blocked(watch, second.info.backend_pid)
        note(db)
        raise ZeroDivisionError
    other = beside.outcome()
    assert (other.replayed, other.result) == (False, {"noted": "k"})
    assert notes(watch) == 1


@pytest.mark.parametrize("wait", [0.0, 0.2])
def test_who_has_waited_enough_is_told_that_the_step_is_in_progress(
    agent: journal.AgentSession, second: psycopg.Connection, wait: float
) -> None:
    with agent.step("note", key="k"):
        began = time.monotonic()
        with pytest.raises(journal.StepInProgress) as caught:
            one_step(second, "k", wait=wait)
        assert time.monotonic() - began < wait + 5
    assert caught.value.retryable
    assert caught.value.exit_code == 6
    assert caught.value.retry_after == 1
    assert (caught.value.tool, caught.value.key) == ("note", "k")
    assert second.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_the_wait_for_a_key_does_not_stay_in_force(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    db.execute("set lock_timeout = '77s'")
    db.commit()
    with agent.step("note", key="k", wait=0.5):
        assert one(db, "show lock_timeout") == "77s"


def test_steps_of_other_keys_do_not_wait(agent: journal.AgentSession, second: psycopg.Connection) -> None:
    with agent.step("note", key="k"):
        assert not one_step(second, "other", wait=0).replayed


def test_many_callers_one_effect(db: psycopg.Connection, connect: Connect, watch: psycopg.Connection) -> None:
    conns = [connect() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        steps = list(pool.map(lambda conn: one_step(conn, "k"), conns))
    assert notes(watch) == 1
    assert sorted(step.replayed for step in steps) == [False] + [True] * 7
    assert len({step.receipt for step in steps}) == 1
    assert sorted(column(watch, "select status from journal.steps")) == ["completed"] + ["replayed"] * 7
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_a_final_failure_whose_key_was_taken_meanwhile_holds_no_key(
    db: psycopg.Connection, agent: journal.AgentSession, connect: Connect, watch: psycopg.Connection
) -> None:
    second = connect()
    with pytest.raises(journal.StepFailed), agent.step("note", key="k"):
        beside = Beside(lambda: one_step(second, "k"))
        wait_until_blocked(watch, second.info.backend_pid)
        raise journal.StepFailed("no")
    # Which of the two came first after the rollback is open; that they agree is not.
    beside.outcome()
    with_key = column(watch, "select status from journal.steps where key_expires_at is not null")
    assert len(with_key) == 1
    if isinstance(beside.outcome(), journal.StepFailed):
        assert (with_key, notes(watch)) == (["failed"], 0)
    else:
        assert (with_key, notes(watch)) == (["completed"], 1)
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_two_first_attempts_after_a_rollback_are_both_told(db: psycopg.Connection, connect: Connect) -> None:
    agent = journal.open_session(db, agent="bot")
    with agent.step("note", key="k"):
        note(db)
    journal.rollback(db, agent)
    conns = [connect() for _ in range(4)]

    def attempt(conn: psycopg.Connection) -> object:
        return one_step(conn, "k", attempt=2).replayed

    with ThreadPoolExecutor(4) as pool:
        assert sorted(map(str, pool.map(attempt, conns))) == ["False", "True", "True", "True"]


def test_the_wait_bounds_the_lock_on_the_session_too(agent: journal.AgentSession, superuser_dsn: str) -> None:
    """A rollback of some of its steps may hold it for long, and whoever waits is told of that."""
    with pytest.raises(journal.StepFailed), agent.step("note", key="failed"):
        raise journal.StepFailed
    calls = [
        agent.step("note", key="k", wait=0.02),
        agent.step("note", key="failed", attempt=2, wait=0.02),
        agent.external("note", key="k", wait=0.02),
    ]
    with psycopg.connect(superuser_dsn) as rollback:
        rollback.execute("select from journal.session where session_id = %s for no key update", [agent.id])
        for call in calls:
            with pytest.raises(journal.StepInProgress, match="rolled back in part, or closed") as caught, call:
                pytest.fail("the body ran")
            assert caught.value.retry_after == 1
    with agent.step("note", key="k") as step:
        pass
    assert not step.replayed
