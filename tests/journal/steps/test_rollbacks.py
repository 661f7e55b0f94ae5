"""Rolling back from Python: who is stopped, what is committed, what is raised."""

# ruff: noqa: PT012  what is tested is the body of a step, in its session

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest

import journal
from tests.journal.steps.support import column, note, notes, one


@pytest.fixture
def done(db: psycopg.Connection, agent: journal.AgentSession) -> journal.AgentSession:
    """A session that wrote a note."""
    with agent.step("note", key="k"):
        note(db)
    return agent


def session_status(conn: psycopg.Connection, session: journal.AgentSession) -> str:
    return str(one(conn, "select status from journal.sessions where session_id = %s", session.id))


def test_an_open_session_is_stopped_first(db: psycopg.Connection, done: journal.AgentSession) -> None:
    report = journal.rollback(db, done, reason="INC-91")
    assert report.outcome == "done"
    assert isinstance(report.rollback_id, UUID)
    assert report.rows["remove"] == 1
    assert session_status(db, done) == "stopped"
    with pytest.raises(journal.SessionStopped), done.step("note"):
        pytest.fail("the body ran")
    assert notes(db) == 0
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_a_closed_session_stays_closed(db: psycopg.Connection, done: journal.AgentSession) -> None:
    done.close()
    journal.rollback(db, done.id)
    assert session_status(db, done) == "closed"


def test_planning_stops_nothing_and_changes_nothing(db: psycopg.Connection, done: journal.AgentSession) -> None:
    plan = journal.plan_rollback(db, str(done.id))
    assert plan.outcome == "planned"
    assert plan.rows["remove"] == 1
    assert plan.as_json()["schema"] == "journal.rollback/1"
    assert plan.conflicts == plan.residue == []
    assert "1 remove" in str(plan)
    assert session_status(db, done) == "open"
    assert notes(db) == 1
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_a_plan_is_carried_out_as_it_was_shown(db: psycopg.Connection, done: journal.AgentSession) -> None:
    plan = journal.plan_rollback(db, done)
    report = journal.rollback(db, plan)
    assert report.digest == plan.digest
    assert notes(db) == 0


def test_a_plan_that_is_no_longer_true_is_refused(db: psycopg.Connection, done: journal.AgentSession) -> None:
    plan = journal.plan_rollback(db, done)
    with done.step("note"):
        note(db)
    with pytest.raises(journal.PlanChanged) as caught:
        journal.rollback(db, plan)
    assert caught.value.exit_code == 6
    assert notes(db) == 2
    assert session_status(db, done) == "stopped"
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_nothing_to_roll_back_is_a_report(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    report = journal.rollback(db, agent)
    assert report.outcome == "nothing"
    assert report.rollback_id is None
    assert report.as_json()["exit_code"] == 4


def test_in_the_callers_transaction_nothing_is_committed(
    db: psycopg.Connection, done: journal.AgentSession, watch: psycopg.Connection
) -> None:
    done.close()
    with pytest.raises(ZeroDivisionError), db.transaction():
        assert journal.rollback(db, done).outcome == "done"
        assert notes(watch) == 1
        raise ZeroDivisionError
    assert notes(watch) == 1


def test_an_open_session_in_the_callers_transaction_is_busy(db: psycopg.Connection, done: journal.AgentSession) -> None:
    with pytest.raises(journal.RollbackBusy) as caught, db.transaction():
        journal.rollback(db, done)
    assert "stop" in str(caught.value.hint)
    assert session_status(db, done) == "open"


def test_single_steps_leave_the_session_open(db: psycopg.Connection, done: journal.AgentSession) -> None:
    step_id = one(db, "select step_id from journal.steps")
    assert journal.rollback(db, done, steps=[step_id]).outcome == "done"
    assert session_status(db, done) == "open"
    with done.step("note"):
        pass


def test_too_many_rows(db: psycopg.Connection, done: journal.AgentSession) -> None:
    with done.step("note"):
        note(db)
    with pytest.raises(journal.TooManyRows) as caught:
        journal.rollback(db, done, max_rows=1)
    assert (caught.value.rows, caught.value.max_rows) == (2, 1)
    assert notes(db) == 2


def test_an_unknown_session(db: psycopg.Connection) -> None:
    for unknown in (uuid4(), "x", [uuid4()]):
        with pytest.raises(journal.UnknownSession):
            journal.rollback(db, unknown)
        with pytest.raises(journal.UnknownSession):
            journal.plan_rollback(db, unknown)


def test_several_sessions_at_once(db: psycopg.Connection, done: journal.AgentSession) -> None:
    other = journal.open_session(db, agent="other")
    with other.step("note"):
        note(db)
    report = journal.rollback(db, [done, other.id])
    assert report.rows["remove"] == 2
    assert column(db, "select distinct reversed from journal.sessions where kind = 'agent'") == ["fully"]


def test_children_are_rolled_back_with_their_parent(db: psycopg.Connection, done: journal.AgentSession) -> None:
    child = done.child(agent="helper")
    with child.step("note"):
        note(db)
    journal.rollback(db, done)
    assert notes(db) == 0
    assert session_status(db, child) == "stopped"


def test_cascade_stops_and_takes_back_who_built_on_it(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    builder = journal.open_session(db, agent="builder")
    with agent.step("first"):
        db.execute("update orders set status = 'first' where id = 42")
    with builder.step("second"):
        db.execute("update orders set status = status || ' second' where id = 42")
    with pytest.raises(journal.RollbackConflict):
        journal.rollback(db, agent)
    assert session_status(db, builder) == "open"
    report = journal.rollback(db, agent, on_conflict="cascade")
    assert {s["why"] for s in report.as_json()["sessions"]} == {"named", "cascade"}
    assert one(db, "select status from orders where id = 42") == "new"
    assert session_status(db, builder) == "stopped"


def test_a_report_prints_its_conflicts(
    db: psycopg.Connection, agent: journal.AgentSession, watch: psycopg.Connection
) -> None:
    with agent.step("change"):
        db.execute("update orders set status = 'ours'")
    watch.execute("update orders set status = 'theirs' where id = 42")
    report = journal.rollback(db, agent, on_conflict="skip")
    assert "public.orders" in str(report)
    assert "changed_since" in str(report)
    assert "redo" in str(report)
    assert report.conflicts[0]["their"] is not None


def test_what_is_raised_says_nothing_of_row_values(
    db: psycopg.Connection, agent: journal.AgentSession, watch: psycopg.Connection
) -> None:
    with agent.step("change"):
        db.execute("update orders set status = 'secret-1'")
    watch.execute("update orders set status = 'secret-2' where id = 42")
    with pytest.raises(journal.RollbackConflict) as caught:
        journal.rollback(db, agent)
    assert "secret" not in str(caught.value)
    assert caught.value.conflicts[0]["theirs"] == "secret-2"
