"""A key that was completed is replayed: the body reads only, or does not run at all."""

# ruff: noqa: SIM117  what is tested is the body of a step, in its session

from __future__ import annotations

from typing import Any

import psycopg
import pytest

import journal
import outbox
from tests.journal.steps.support import column, note, notes, one, statuses

WRITES = [
    "insert into notes (note) values ('again')",
    "update orders set status = 'again'",
    "delete from orders",
    "select nextval('notes_id_seq')",
    "create table another (id int)",
    "truncate orders",
    "select id from orders for update",
    "select outbox.publish('notes')",
    "select journal.bind((select session_id from journal.sessions limit 1))",
    "set local transaction_read_only = off",
]


@pytest.fixture
def done(db: psycopg.Connection, agent: journal.AgentSession) -> journal.Step:
    """A step that was completed under the key 'k'."""
    with agent.step("note", key="k") as step:
        note(db)
        step.complete("done")
    return step


@pytest.mark.parametrize("statement", WRITES)
def test_a_body_that_forgot_to_ask_cannot_write(
    db: psycopg.Connection, agent: journal.AgentSession, done: journal.Step, statement: str
) -> None:
    with pytest.raises((journal.ReplayedStepWrites, psycopg.errors.ActiveSqlTransaction)), agent.step("note", key="k"):
        db.execute(statement.encode())
    assert notes(db) == 1
    assert done.receipt is not None
    assert statuses(db, agent) == ["completed", "failed"]
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_a_body_that_hides_the_refusal_still_writes_nothing(
    db: psycopg.Connection, agent: journal.AgentSession, done: journal.Step
) -> None:
    with agent.step("note", key="k") as step:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            note(db)
    assert step.result == done.result
    assert notes(db) == 1
    assert statuses(db, agent) == ["completed", "replayed"]


def test_the_rest_of_the_connection_is_not_read_only(
    db: psycopg.Connection, agent: journal.AgentSession, done: journal.Step
) -> None:
    with db.transaction():
        with agent.step("note", key="k", join=True) as step:
            assert one(db, "show transaction_read_only") == "on"
        assert one(db, "show transaction_read_only") == "off"
        note(db)
    assert step.joined
    assert step.receipt == done.receipt
    assert notes(db) == 2


def test_a_replay_may_not_contain_a_step_that_writes(
    agent: journal.AgentSession, done: journal.Step, db: psycopg.Connection
) -> None:
    with pytest.raises(journal.ReplayedStepWrites), agent.step("note", key="k"):
        with agent.step("note", key="inner", join=True):
            pytest.fail("the body ran")
    assert notes(db) == 1
    assert done.receipt is not None


def test_a_replay_belongs_to_the_session_that_asked(db: psycopg.Connection, done: journal.Step) -> None:
    other = journal.open_session(db, agent="other")
    with other.step("note", key="k") as step:
        pass
    assert statuses(db, other) == ["replayed"]
    assert step.id != done.id
    assert step.session_id == other.id
    assert step.receipt is not None
    assert step.receipt.step_id == done.id


def test_a_replay_of_a_rolled_back_asker_stays(
    db: psycopg.Connection, agent: journal.AgentSession, done: journal.Step
) -> None:
    """What a replay returned was done by another session: rolling back the one that asked takes nothing back."""
    other = journal.open_session(db, agent="other")
    with other.step("note", key="k"):
        pass
    assert journal.rollback(db, other).outcome == "nothing"
    with agent.step("note", key="k") as step:
        assert step.replayed
    assert notes(db) == 1
    assert done.receipt is not None


def test_an_exception_in_a_replayed_body_passes(
    db: psycopg.Connection, agent: journal.AgentSession, done: journal.Step
) -> None:
    with pytest.raises(ZeroDivisionError), agent.step("note", key="k"):
        raise ZeroDivisionError
    assert statuses(db, agent) == ["completed", "failed"]
    with agent.step("note", key="k") as step:
        assert step.replayed
    assert done.receipt == step.receipt


def test_a_final_failure_of_a_replayed_body_changes_nothing_under_the_key(
    agent: journal.AgentSession, done: journal.Step
) -> None:
    with pytest.raises(journal.StepFailed), agent.step("note", key="k"):
        raise journal.StepFailed("late")
    with agent.step("note", key="k") as step:
        assert step.replayed
    assert step.receipt == done.receipt


def test_a_recorded_failure_is_told_and_not_raised_so_that_the_server_s_log_does_not_hold_it(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    with pytest.raises(journal.StepFailed), agent.step("charge", key="k"):
        raise journal.StepFailed({"card": "4242"})
    with pytest.raises(journal.StepFailed) as again, agent.step("charge", key="k"):
        pass
    assert again.value.result == {"card": "4242"}
    assert (again.value.tool, again.value.key, again.value.hint) == ("charge", "k", "attempt 2 runs it anew")
    assert again.value.__cause__ is None, "the database raised nothing"
    with pytest.raises(psycopg.DatabaseError) as raised:
        db.execute("select journal.begin_step(%s, 'charge', 'k')", (agent.id,))
    assert raised.value.sqlstate == "JR018"
    assert "4242" not in f"{raised.value.diag.message_primary}{raised.value.diag.message_detail}"


def test_run_completes_with_what_the_function_returns(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    def work(step: journal.Step) -> Any:
        note(step.conn)
        return {"step": str(step.id)}

    first = agent.run("note", work, key="k", arguments={"a": 1})
    again = agent.run("note", work, key="k", arguments={"a": 1})
    assert first.result == again.result == {"step": str(first.id)}
    assert (first.replayed, again.replayed) == (False, True)
    assert notes(db) == 1
    assert statuses(db, agent) == ["completed", "replayed"]
    with pytest.raises(journal.ArgumentsDiffer):
        agent.run("note", work, key="k", arguments={"a": 2})


def test_run_keeps_a_result_that_the_function_completed_itself(agent: journal.AgentSession) -> None:
    step = agent.run("note", lambda step: step.complete(7), key="k")
    assert step.result == 7


def test_run_passes_what_the_function_raises(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    def work(step: journal.Step) -> None:
        note(step.conn)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        agent.run("note", work, key="k")
    assert notes(db) == 0
    assert statuses(db, agent) == ["failed"]


def test_a_key_that_was_committed_without_being_completed_is_not_run_again(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    """From psql or another language: begin_step, then commit without complete_step."""
    with db.transaction():
        db.execute("select journal.begin_step(%s, 'note', 'k')", (agent.id,))
        note(db)
    assert statuses(db, agent) == ["unknown"]
    with pytest.raises(journal.StepError, match="unknown") as caught, agent.step("note", key="k"):
        pytest.fail("the body ran")
    assert not caught.value.retryable
    assert column(db, "select receipt_id from journal.receipts") == []


def test_publishing_in_a_replay_is_a_write(
    db: psycopg.Connection, agent: journal.AgentSession, done: journal.Step
) -> None:
    with pytest.raises(journal.ReplayedStepWrites), agent.step("note", key="k"):
        outbox.publish(db, topic="notes")
    assert column(db, "select topic from outbox.messages") == []
    assert done.receipt is not None
