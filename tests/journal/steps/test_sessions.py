"""One run of an agent: opening, resuming, closing, stopping."""

# ruff: noqa: PT012  what is tested is the body of a step, in its session

from __future__ import annotations

import contextvars
import threading
from functools import partial
from typing import Any, cast
from uuid import UUID, uuid4

import psycopg
import pytest

import journal
from tests.journal.steps.conftest import Connect
from tests.journal.steps.support import Beside, column, note, notes, one


def status(conn: psycopg.Connection, session: journal.AgentSession) -> tuple[str, str | None]:
    found = one(conn, "select array[status, status_reason] from journal.sessions where session_id = %s", session.id)
    return found[0], found[1]


def test_a_session_is_a_value_and_a_row(db: psycopg.Connection) -> None:
    session = journal.open_session(
        db, agent="bot", task="ticket 8123", tenant="north", details={"model": "m-1"}, hold="30s"
    )
    query = "select to_jsonb(s) from journal.sessions s where session_id = %s"
    row = one(db, query, session.id)
    assert isinstance(session.id, UUID)
    assert session.id.version == 7 or session.id.bytes[6] >> 4 == 7
    assert (session.agent, session.task, session.tenant) == ("bot", "ticket 8123", "north")
    assert (row["agent"], row["task"], row["tenant"], row["details"]) == (
        "bot",
        "ticket 8123",
        "north",
        {"model": "m-1"},
    )
    assert (row["kind"], row["status"], row["reversed"], row["hold"]) == ("agent", "open", "no", "30s")
    assert row["db_user"] == row["db_role"] == one(db, "select session_user::text")
    assert (row["closed_at"], row["last_bound_at"], row["parent_session_id"]) == (None, None, None)
    assert row["undoable_until"] > row["opened_at"]


def test_leaving_closes_and_an_exception_closes_as_failed(db: psycopg.Connection) -> None:
    with journal.open_session(db, agent="bot") as good:
        assert status(db, good) == ("open", None)
    assert status(db, good) == ("closed", None)
    with pytest.raises(ZeroDivisionError), journal.open_session(db, agent="bot") as bad:
        raise ZeroDivisionError
    assert status(db, bad) == ("failed", "ZeroDivisionError")


def test_close_is_idempotent_and_keeps_the_first_reason(db: psycopg.Connection) -> None:
    with journal.open_session(db, agent="bot") as session:
        session.close("failed", "ran out of money")
        session.close()
    assert status(db, session) == ("failed", "ran out of money")
    with pytest.raises(journal.SessionError):
        session.close("finished")


def test_resuming_does_not_close(db: psycopg.Connection, connect: Connect) -> None:
    session = journal.open_session(db, agent="bot", task="t", tenant="north")
    with journal.resume_session(connect(), str(session.id)) as resumed:
        assert (resumed.id, resumed.agent, resumed.task, resumed.tenant) == (session.id, "bot", "t", "north")
    assert status(db, session) == ("open", None)


def test_what_cannot_be_resumed(db: psycopg.Connection) -> None:
    for unknown in (uuid4(), "no id", ""):
        with pytest.raises(journal.UnknownSession):
            journal.resume_session(db, unknown)
    closed = journal.open_session(db, agent="bot")
    closed.close()
    with pytest.raises(journal.SessionClosed):
        journal.resume_session(db, closed.id)
    stopped = journal.open_session(db, agent="bot")
    journal.stop_session(db, stopped.id, "enough")
    with pytest.raises(journal.SessionStopped, match="enough"):
        journal.resume_session(db, stopped.id)
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_a_run_id_names_the_open_session(db: psycopg.Connection, connect: Connect) -> None:
    first = journal.open_session(db, agent="bot", run_id="run-7", task="the first")
    again = journal.open_session(connect(), agent="bot", run_id="run-7", task="the second")
    assert again.id == first.id
    assert again.task == "the first"
    assert journal.open_session(db, agent="other", run_id="run-7").id != first.id
    assert journal.open_session(db, agent="bot", run_id="run-7", tenant="north").id != first.id
    assert journal.open_session(db, agent="bot").id != first.id
    first.close()
    with pytest.raises(journal.SessionClosed):
        journal.open_session(db, agent="bot", run_id="run-7")


def test_two_who_open_one_run_at_once_get_one_session(db: psycopg.Connection, connect: Connect) -> None:
    conns = [connect() for _ in range(6)]
    ids: list[UUID] = []
    threads = [
        threading.Thread(target=lambda conn=conn: ids.append(journal.open_session(conn, agent="bot", run_id="r").id))
        for conn in conns
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 6
    assert len(set(ids)) == 1
    assert column(db, "select count(*) from journal.sessions") == [1]


def test_a_child_belongs_to_its_parent_and_tenant(db: psycopg.Connection) -> None:
    parent = journal.open_session(db, agent="bot", tenant="north")
    child = parent.child(agent="helper", task="look it up")
    assert (child.agent, child.task, child.tenant) == ("helper", "look it up", "north")
    assert one(db, "select parent_session_id from journal.sessions where session_id = %s", child.id) == parent.id
    with pytest.raises(journal.SessionError):
        journal.open_session(db, agent="helper", parent=parent.id, tenant="south")
    parent.close()
    with pytest.raises(journal.SessionClosed):
        parent.child(agent="helper")
    assert status(db, child)[0] == "open"


def test_names_have_a_length(db: psycopg.Connection) -> None:
    """What is longer fits into no index, and an empty run_id would make one run of all."""
    names = ("agent", "tenant", "run_id")
    wrong: list[dict[str, Any]] = [{"agent": ""}, {"run_id": ""}, *({name: "ä" * 257} for name in names)]
    for options in wrong:
        with pytest.raises(journal.SessionError, match="bytes") as caught:
            journal.open_session(db, **{"agent": "bot", **options})
        assert caught.value.hint
    for name in ("", "ä" * 257):
        with pytest.raises(journal.SessionError, match="bytes"):
            journal.stop_agent(db, name, "enough")
    assert column(db, "select 1 from journal.sessions") == []
    longest: dict[str, Any] = dict.fromkeys(names, "ä" * 256)
    with journal.open_session(db, **longest).step("s" * 512, key="k" * 512):
        pass


def test_who_and_why_are_text(db: psycopg.Connection) -> None:
    session = journal.open_session(db, agent="bot")
    for call in (
        partial(journal.stop_session, db, session.id),
        partial(journal.stop_agent, db, "bot"),
        lambda name: journal.stop_agent(db, name, "enough"),
        partial(journal.resume_agent, db),
    ):
        for wrong in (5, "a\0b"):
            with pytest.raises(journal.SessionError, match="is text"):
                call(wrong)


def test_what_is_no_session_is_refused_in_our_words(db: psycopg.Connection) -> None:
    wrong: list[dict[str, Any]] = [
        {"agent": 5},
        {"agent": "a\0b"},
        {"run_id": 5},
        {"task": "\ud800"},
        {"tenant": 1},
        {"role": 1},
        {"hold": 1},
    ]
    for options in wrong:
        with pytest.raises(journal.SessionError, match="is text"):
            journal.open_session(db, **{"agent": "bot", **options})
    for details in ([1], "x", {"a": object()}):
        with pytest.raises(journal.NotSerializable) as caught:
            journal.open_session(db, agent="bot", details=cast("Any", details))
        assert (caught.value.path or "").startswith("details")
    session = journal.open_session(db, agent="bot")
    for status in ("open", None, 5):
        with pytest.raises(journal.SessionError):
            session.close(cast("str", status))
    assert column(db, "select status from journal.sessions") == ["open"]


def test_a_hold_is_checked_when_the_session_opens(db: psycopg.Connection) -> None:
    with pytest.raises(Exception, match="hold"):
        journal.open_session(db, agent="bot", hold="soon")


def test_stopping_reaches_the_children(db: psycopg.Connection) -> None:
    parent = journal.open_session(db, agent="bot")
    child = parent.child(agent="helper")
    closed = parent.child(agent="done already")
    closed.close()
    journal.stop_session(db, parent.id, "enough")
    assert status(db, parent) == ("stopped", "enough")
    assert status(db, child) == ("stopped", "enough")
    assert status(db, closed) == ("closed", None)
    with pytest.raises(journal.SessionStopped), child.step("note"):
        pytest.fail("the body ran")


def test_a_stopped_session_stays_stopped(db: psycopg.Connection) -> None:
    with journal.open_session(db, agent="bot") as session:
        journal.stop_session(db, session.id, "enough")
        journal.stop_session(db, session.id, "really")
    assert status(db, session) == ("stopped", "enough")


def test_stopping_a_closed_session_changes_nothing(db: psycopg.Connection) -> None:
    with journal.open_session(db, agent="bot") as session:
        pass
    journal.stop_session(db, session.id, "late")
    assert status(db, session) == ("closed", None)
    with pytest.raises(journal.UnknownSession):
        journal.stop_session(db, uuid4(), "who")


def test_an_agent_is_stopped_and_resumed(db: psycopg.Connection) -> None:
    session = journal.open_session(db, agent="bot")
    other = journal.open_session(db, agent="other")
    journal.stop_agent(db, "bot", "misbehaves")
    assert status(db, session) == ("stopped", "misbehaves")
    with pytest.raises(journal.SessionStopped, match="misbehaves"), session.step("note"):
        pytest.fail("the body ran")
    with pytest.raises(journal.SessionStopped):
        journal.open_session(db, agent="bot")
    with other.step("note"):
        pass
    assert journal.resume_agent(db, "bot") is True
    assert journal.resume_agent(db, "bot") is False
    assert status(db, session) == ("open", None)
    with session.step("note"):
        pass


def test_a_session_that_nobody_binds_for_a_week_is_abandoned(db: psycopg.Connection, superuser_dsn: str) -> None:
    session = journal.open_session(db, agent="bot")
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        admin.execute("update journal.session set opened_at = now() - interval '8 days'")
    assert status(db, session)[0] == "abandoned"
    with session.step("note"):
        note(db)
    assert status(db, session)[0] == "open"
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        admin.execute("update journal.binding set bound_at = now() - interval '8 days'")
    assert status(db, session)[0] == "abandoned"
    assert journal.rollback(db, session).outcome == "done"
    assert notes(db) == 0


def test_the_current_session(db: psycopg.Connection, connect: Connect) -> None:
    with pytest.raises(LookupError):
        journal.current_session()
    with journal.open_session(db, agent="outer") as outer:
        with outer.child(agent="inner") as inner:
            assert journal.current_session() is inner
        assert journal.current_session() is outer
        with journal.resume_session(connect(), outer.id) as resumed:
            assert journal.current_session() is resumed
        assert contextvars.copy_context().run(journal.current_session) is outer
        assert isinstance(Beside(journal.current_session).outcome(), LookupError)
    with pytest.raises(LookupError):
        journal.current_session()


def test_a_session_that_is_entered_twice_is_left_twice(db: psycopg.Connection) -> None:
    with journal.open_session(db, agent="outer") as outer, journal.open_session(db, agent="bot") as session:
        with session:
            assert journal.current_session() is session
        assert journal.current_session() is session
        with outer:
            assert journal.current_session() is outer
        assert journal.current_session() is session
    with pytest.raises(LookupError):
        journal.current_session()


def test_in_the_callers_transaction_nothing_is_committed(db: psycopg.Connection, watch: psycopg.Connection) -> None:
    with pytest.raises(ZeroDivisionError), db.transaction():
        with journal.open_session(db, agent="bot"):
            pass
        raise ZeroDivisionError
    assert column(watch, "select agent from journal.sessions") == []


def test_what_is_no_connection(dsn: str) -> None:
    for wrong in (None, dsn, object(), 7):
        with pytest.raises(journal.UnsupportedConnection) as caught:
            journal.open_session(wrong, agent="bot")  # type: ignore[call-overload]
        assert isinstance(caught.value, TypeError)


def test_a_database_that_is_not_migrated(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as conn:
        with pytest.raises(journal.SchemaVersionError) as caught:
            journal.open_session(conn, agent="bot")
        assert "migrate" in str(caught.value.hint)
        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
