"""Whose changes they are: a transaction belongs to a session, and a range of its statements to a step."""

# ruff: noqa: PT012, SIM117  what is tested is the body of a step, in its session

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest

import journal
import outbox
from tests.journal.steps.conftest import Connect
from tests.journal.steps.support import Beside, column, note, one, wait_until_blocked

OWNERS = "select session_id from journal.statements order by statement_id"
STEPS = "select step_id from journal.statements order by statement_id"


def test_bind_attributes_what_follows(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with db.transaction():
        note(db)
        journal.bind(db, agent.id)
        note(db)
    note(db)
    db.commit()
    assert column(db, OWNERS) == [None, agent.id, None]


def test_bind_attributes_messages(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with db.transaction():
        journal.bind(db, agent.id)
        outbox.publish(db, topic="notes")
    assert column(db, "select session_id from outbox.messages") == [agent.id]


def test_bind_outside_a_transaction_is_refused(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with pytest.raises(journal.TransactionRequired):
        journal.bind(db, agent.id)


def test_bind_to_a_step_of_the_session(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("note") as step:
        pass
    with db.transaction():
        journal.bind(db, agent.id, step.id)
        note(db)
    assert column(db, STEPS) == [step.id]
    other = journal.open_session(db, agent="other")
    with pytest.raises(journal.StepError), db.transaction():
        journal.bind(db, other.id, step.id)


def test_another_session_in_the_same_transaction_is_refused(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    other = journal.open_session(db, agent="other")
    with pytest.raises(journal.AlreadyBound) as caught, db.transaction():
        journal.bind(db, agent.id)
        journal.bind(db, agent.id)
        journal.bind(db, other.id)
    assert caught.value.sqlstate == "JR006"
    with pytest.raises(journal.AlreadyBound), agent.step("note"):
        with other.step("note", join=True):
            pytest.fail("the body ran")


def test_a_joined_step_leaves_the_rest_of_the_transaction_unbound(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    other = journal.open_session(db, agent="other")
    with db.transaction():
        note(db)
        with agent.step("note", join=True) as step:
            note(db)
        note(db)
        with pytest.raises(journal.AlreadyBound), db.transaction():
            journal.bind(db, other.id)
        with agent.step("note", join=True) as second:
            note(db)
    assert column(db, STEPS) == [None, step.id, None, second.id]
    assert column(db, OWNERS) == [None, agent.id, None, agent.id]


def test_a_child_session_works_in_the_same_transaction(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    child = agent.child(agent="helper")
    grandchild = child.child(agent="helper's helper")
    with agent.step("note") as outer:
        note(db)
        with child.step("note", join=True) as inner:
            note(db)
            with grandchild.step("note", join=True) as innermost:
                note(db)
            note(db)
        note(db)
    assert column(db, STEPS) == [outer.id, inner.id, innermost.id, inner.id, outer.id]
    assert column(db, OWNERS) == [agent.id, child.id, grandchild.id, child.id, agent.id]


def test_siblings_are_not_children_of_each_other(agent: journal.AgentSession) -> None:
    one_child, other_child = agent.child(agent="one"), agent.child(agent="other")
    with pytest.raises(journal.AlreadyBound), one_child.step("note"), other_child.step("note", join=True):
        pytest.fail("the body ran")


def test_an_inner_step_that_fails_binds_the_outer_one_again(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    with agent.step("note") as outer:
        with pytest.raises(ZeroDivisionError), agent.step("note", join=True):
            note(db)
            raise ZeroDivisionError
        note(db)
    assert column(db, STEPS) == [outer.id]
    assert column(db, "select status from journal.steps order by ordinal") == ["completed", "failed"]


def test_an_inner_replay_binds_the_outer_one_again(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("note", key="k"):
        pass
    with agent.step("note") as outer:
        with agent.step("note", key="k", join=True) as inner:
            pass
        assert inner.replayed
        note(db)
    assert column(db, STEPS) == [outer.id]


def test_an_inner_step_needs_join(agent: journal.AgentSession) -> None:
    with agent.step("note"):
        with pytest.raises(journal.TransactionOpen), agent.step("note"):
            pytest.fail("the body ran")


def test_an_inner_key_is_free_again_when_the_outer_step_fails(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    with pytest.raises(ZeroDivisionError), agent.step("order"):
        with agent.step("note", key="k", join=True) as inner:
            note(db)
        raise ZeroDivisionError
    assert inner.receipt is not None
    assert inner.receipt.status == "pending"
    with pytest.raises(journal.UnknownReceipt):
        journal.receipt(db, inner.receipt.id)
    with agent.step("note", key="k") as step:
        assert not step.replayed


def test_a_binding_ends_with_its_savepoint(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    other = journal.open_session(db, agent="other")
    with db.transaction():
        with pytest.raises(ZeroDivisionError), db.transaction():
            journal.bind(db, agent.id)
            note(db)
            raise ZeroDivisionError
        note(db)
        journal.bind(db, other.id)
        note(db)
    assert column(db, OWNERS) == [None, other.id]


@pytest.mark.parametrize(
    "forged",
    [
        "{session}||",
        "{session}||0000000000000000000000000000000000000000000000000000000000000000",
        "garbage",
        "||",
        "{session}|{session}|x|y",
        "'",
        "(0,1)",
        "(999999999,9999)",
        "(4294967296,99999)",
    ],
)
def test_a_forged_token_is_no_binding(db: psycopg.Connection, agent: journal.AgentSession, forged: str) -> None:
    with db.transaction():
        db.execute("select set_config('journal.binding', %s, true)", (forged.format(session=agent.id),))
        assert column(db, "select session_id from journal.bound_session()") == []
        outbox.publish(db, topic="notes")
    assert column(db, "select session_id from outbox.messages") == [None]


def test_a_token_is_worth_nothing_in_another_transaction(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with db.transaction():
        journal.bind(db, agent.id)
        token = one(db, "select current_setting('journal.binding')")
        assert column(db, "select session_id from journal.bound_session()") == [agent.id]
    with db.transaction():
        db.execute("select set_config('journal.binding', %s, true)", (token,))
        note(db)
        assert column(db, "select session_id from journal.bound_session()") == []
    assert one(db, "select current_setting('journal.binding')") == ""


def token_of(db: psycopg.Connection) -> Any:
    return one(db, "select current_setting('journal.binding')")


def put_back(db: psycopg.Connection, old: str) -> None:
    db.execute("select set_config('journal.binding', %s, true)", (old,))


def test_a_token_is_worth_nothing_after_its_savepoint(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with db.transaction():
        with db.transaction(force_rollback=True):
            journal.bind(db, agent.id)
            taken = token_of(db)
        put_back(db, taken)
        assert column(db, "select session_id from journal.bound_session()") == []


def test_a_token_is_worth_nothing_after_its_step(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with db.transaction():
        with agent.step("note", join=True) as outer:
            first = token_of(db)
            with agent.step("note", join=True) as inner:
                second = token_of(db)
                put_back(db, first)
                assert column(db, "select step_id from journal.bound_session()") == []
                put_back(db, second)
                assert column(db, "select step_id from journal.bound_session()") == [inner.id]
            assert column(db, "select step_id from journal.bound_session()") == [outer.id]
        for taken in (first, second):
            put_back(db, taken)
            outbox.publish(db, topic="notes")
    assert column(db, "select step_id from outbox.messages") == [None, None]


def test_the_outer_step_is_bound_again_when_the_inner_one_is_rolled_back(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    with agent.step("order") as outer:
        with pytest.raises(ZeroDivisionError), agent.step("note", join=True):
            raise ZeroDivisionError
        assert column(db, "select step_id from journal.bound_session()") == [outer.id]
        outbox.publish(db, topic="notes")
    assert column(db, "select step_id from outbox.messages") == [outer.id]


def test_bind_refuses_a_closed_a_stopped_and_an_unknown_session(db: psycopg.Connection) -> None:
    closed, stopped = journal.open_session(db, agent="a"), journal.open_session(db, agent="b")
    closed.close()
    journal.stop_session(db, stopped.id, "enough")
    for session_id, error in (
        (closed.id, journal.SessionClosed),
        (stopped.id, journal.SessionStopped),
        (UUID(int=0), journal.UnknownSession),
    ):
        with pytest.raises(error), db.transaction():
            journal.bind(db, session_id)


@pytest.mark.parametrize("level", [psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE])
def test_a_snapshot_from_before_the_end_of_the_session_cannot_bind_it(
    db: psycopg.Connection, connect: Connect, level: psycopg.IsolationLevel
) -> None:
    agent = journal.open_session(db, agent="bot")
    old = connect()
    old.isolation_level = level
    with pytest.raises(psycopg.errors.SerializationFailure), old.transaction():
        old.execute("select 1")
        agent.close()
        journal.bind(old, agent.id)


def test_closing_waits_for_a_running_step(
    agent: journal.AgentSession, connect: Connect, watch: psycopg.Connection
) -> None:
    closing = connect()
    resumed = journal.resume_session(closing, agent.id)
    with agent.step("note"):
        beside = Beside(resumed.close)
        wait_until_blocked(watch, closing.info.backend_pid)
        assert one(watch, "select status from journal.sessions") == "open"
    beside.outcome()
    assert one(watch, "select status from journal.sessions") == "closed"


def test_stopping_waits_for_nobody_and_lets_a_running_step_commit(
    db: psycopg.Connection, agent: journal.AgentSession, watch: psycopg.Connection
) -> None:
    with agent.step("note") as step:
        journal.stop_session(watch, agent.id, "enough")
        note(db)
    assert step.receipt is not None
    with pytest.raises(journal.SessionStopped), agent.step("note"):
        pytest.fail("the body ran")


def test_sessions_work_side_by_side(db: psycopg.Connection, agent: journal.AgentSession, connect: Connect) -> None:
    """The row lock of a session is shared: two connections may work for one session at the same time."""
    with agent.step("note"):
        other = journal.resume_session(connect(), agent.id)
        with other.step("note", wait=0.1) as step:
            pass
    assert step.receipt is not None
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
