"""Rollback, cancellation and held messages: each finding of the evidence (C) is a test here."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest

from outbox.pg.errors import sqlstate_of
from tests.outbox.support import (
    Connection,
    column,
    open_session,
    publish,
    publish_in,
    rolling_back,
    scalar,
    seal,
    sealed,
    status,
    take_back,
)


def test_finding_15_a_rollback_that_is_under_way_is_passed_by_and_then_wins(dsn: str, conn: Connection) -> None:
    session_id = open_session(conn)
    message_id, other = publish_in(conn, session_id), publish(conn)
    with rolling_back(dsn, session_id) as rollback:
        seal(conn)
        assert sealed(conn) == [other]
        assert take_back(rollback, session_id) == {message_id: "cancelled"}
        seal(conn)
        rollback.commit()
    seal(conn)
    assert sealed(conn) == [other]
    assert status(conn, message_id) == "cancelled"


def test_finding_15_a_rollback_that_gives_up_leaves_the_message_to_the_next_seal(dsn: str, conn: Connection) -> None:
    session_id = open_session(conn)
    message_id = publish_in(conn, session_id)
    with rolling_back(dsn, session_id) as rollback:
        take_back(rollback, session_id)
        seal(conn)
        assert sealed(conn) == []
        rollback.rollback()
    seal(conn)
    assert sealed(conn) == [message_id]


def test_finding_16_a_rollback_waits_for_a_seal_and_then_sees_it(dsn: str, conn: Connection) -> None:
    session_id = open_session(conn)
    message_id = publish_in(conn, session_id)
    with psycopg.connect(dsn) as sealing:
        seal(sealing)
        conn.execute("set lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            take_back(conn, session_id)
    assert take_back(conn, session_id) == {message_id: "sent"}
    assert sealed(conn) == [message_id]


@pytest.mark.parametrize("isolation", [psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE])
def test_finding_15_messages_are_taken_back_under_read_committed_only(
    dsn: str, conn: Connection, isolation: psycopg.IsolationLevel
) -> None:
    session_id = open_session(conn)
    with psycopg.connect(dsn) as other:
        other.isolation_level = isolation
        with pytest.raises(psycopg.DatabaseError) as raised:
            take_back(other, session_id)
    assert sqlstate_of(raised.value) == "OX000"


def test_finding_15_a_message_cancelled_before_is_not_reported_as_sealed(conn: Connection) -> None:
    session_id = open_session(conn)
    message_id = publish_in(conn, session_id, hold="1h")
    seal(conn)
    assert take_back(conn, session_id) == {message_id: "cancelled"}
    seal(conn)
    publish(conn)
    seal(conn)
    assert take_back(conn, session_id) == {message_id: "already_cancelled"}


def test_finding_16_a_session_that_was_pruned_counts_as_free(conn: Connection) -> None:
    session_id = open_session(conn)
    message_id = publish_in(conn, session_id)
    conn.execute("delete from journal.binding")
    conn.execute("delete from journal.session where session_id = %s", [session_id])
    seal(conn)
    assert sealed(conn) == [message_id]


def test_finding_16_an_idle_rollback_holds_back_its_key_and_nothing_else(dsn: str, conn: Connection) -> None:
    session_id = open_session(conn)
    mine = publish_in(conn, session_id, key="k")
    with rolling_back(dsn, session_id):
        after, elsewhere = publish(conn, key="k"), publish(conn, key="other")
        seal(conn)
        assert sealed(conn) == [elsewhere]
        assert status(conn, after) == "held"
    seal(conn)
    assert sealed(conn) == [elsewhere, mine, after]


def test_finding_16_polls_during_a_rollback_do_not_grow_the_seals(dsn: str, conn: Connection) -> None:
    session_id = open_session(conn)
    publish_in(conn, session_id)
    with rolling_back(dsn, session_id):
        assert seal(conn) == 1
        assert [seal(conn) for _ in range(5)] == [None] * 5


def test_finding_17_a_held_message_holds_its_key(conn: Connection) -> None:
    held = publish(conn, key="k", hold="1h")
    later, other, keyless = publish(conn, key="k"), publish(conn, key="o"), publish(conn)
    seal(conn)
    assert sealed(conn) == [other, keyless]
    assert (status(conn, held), status(conn, later)) == ("held", "held")


def test_finding_17_an_earlier_message_of_a_held_key_goes_ahead(conn: Connection) -> None:
    first = publish(conn, key="k")
    publish(conn, key="k", hold="1h")
    seal(conn)
    assert sealed(conn) == [first]


def test_finding_17_every_hold_has_a_time_limit(conn: Connection) -> None:
    held = publish(conn, key="k", hold="1s")
    later = publish(conn, key="k")
    seal(conn)
    assert sealed(conn) == []
    while seal(conn) is None:
        pass
    assert sealed(conn) == [held, later]


def test_closing_a_session_releases_what_it_held(conn: Connection) -> None:
    session_id = open_session(conn)
    held = publish_in(conn, session_id, hold="close")
    seal(conn)
    assert sealed(conn) == []
    conn.execute("select journal.close_session(%s)", [session_id])
    seal(conn)
    assert sealed(conn) == [held]


@pytest.mark.parametrize("how", ["select journal.stop_session(%s, 'x')", "select journal.close_session(%s, 'failed')"])
def test_a_stopped_or_failed_session_keeps_its_messages_for_a_rollback(conn: Connection, how: str) -> None:
    """Else stopping, the first thing a rollback does, would send what the rollback is about to cancel."""
    session_id = open_session(conn)
    held = publish_in(conn, session_id, hold="close")
    conn.execute(how, [session_id])
    seal(conn)
    assert sealed(conn) == []
    assert take_back(conn, session_id) == {held: "cancelled"}


def test_a_cancelled_message_frees_its_key(conn: Connection) -> None:
    session_id = open_session(conn)
    publish_in(conn, session_id, key="k", hold="1h")
    later = publish(conn, key="k")
    seal(conn)
    take_back(conn, session_id)
    seal(conn)
    assert sealed(conn) == [later]
    assert column(conn, "select topic from outbox.backlog") == []


def test_a_message_cancelled_before_any_seal_is_absorbed_once(conn: Connection) -> None:
    session_id = open_session(conn)
    publish_in(conn, session_id)
    take_back(conn, session_id)
    assert seal(conn) == 1
    assert seal(conn) is None
    assert sealed(conn) == []


def test_finding_17_there_is_a_limit_to_held_messages(conn: Connection) -> None:
    conn.execute("select outbox.publish('t', hold => '1h') from generate_series(1, 10000)")
    seal(conn)
    with pytest.raises(psycopg.DatabaseError, match="held back already"):
        publish(conn, hold="1h")
    publish(conn)


def test_finding_18_a_sealed_message_is_compensated_under_its_topic_and_key(conn: Connection) -> None:
    session_id, rollback_id = open_session(conn), uuid4()
    message_id = publish_in(conn, session_id, "refunds", "42", compensation={"undo": 1}, type="refund")
    plain = publish_in(conn, session_id, "mails")
    seal(conn)
    assert take_back(conn, session_id, rollback_id=rollback_id) == {message_id: "compensated", plain: "sent"}
    seal(conn)
    row = conn.execute(
        "select topic, key, type, data, session_id, status from outbox.messages where compensates = %s", [message_id]
    ).fetchone()
    assert row == ("refunds", "42", "refund.compensated", {"undo": 1}, rollback_id, "sealed")


def test_finding_18_a_compensation_is_published_once(conn: Connection) -> None:
    session_id = open_session(conn)
    message_id = publish_in(conn, session_id, compensation={})
    seal(conn)
    assert take_back(conn, session_id) == {message_id: "compensated"}
    assert take_back(conn, session_id) == {message_id: "compensated"}
    assert scalar(conn, "select count(*) from outbox.messages") == 2


def test_finding_18_redo_publishes_anew_what_the_rollback_cancelled(conn: Connection) -> None:
    session_id, rollback_id = open_session(conn), uuid4()
    message_id = publish_in(conn, session_id, "refunds", "42", data={"a": 1}, hold="1h")
    take_back(conn, session_id, rollback_id=rollback_id)
    assert take_back(conn, rollback_id) == {message_id: "compensated"}
    seal(conn)
    row = conn.execute(
        "select topic, key, data, caused_by, status from outbox.messages where message_id <> %s", [message_id]
    ).fetchone()
    assert row == ("refunds", "42", {"a": 1}, message_id, "sealed")
    assert status(conn, message_id) == "cancelled"


def test_finding_18_redo_of_a_compensation_publishes_the_original_anew(conn: Connection) -> None:
    session_id, rollback_id, redo_id = open_session(conn), uuid4(), uuid4()
    original = publish_in(conn, session_id, "refunds", "42", data={"a": 1}, compensation={"undo": 1})
    seal(conn)
    take_back(conn, session_id, rollback_id=rollback_id)
    seal(conn)
    take_back(conn, rollback_id, rollback_id=redo_id)
    seal(conn)
    take_back(conn, redo_id)
    seal(conn)
    rows = conn.execute("select type, data, caused_by = %s from outbox.messages order by message_id", [original])
    assert rows.fetchall() == [
        ("refunds", {"a": 1}, None),
        ("refunds.compensated", {"undo": 1}, None),
        ("refunds", {"a": 1}, True),
        ("refunds.compensated", {"undo": 1}, False),
    ]


def test_the_plan_says_what_taking_back_will_do_and_changes_nothing(conn: Connection) -> None:
    session_id = open_session(conn)
    conn.execute("select relay.register('stdout:', 'stdout:', 'D', 1000000)")
    gone = publish_in(conn, session_id)
    seal(conn)
    held = publish_in(conn, session_id, hold="1h")
    query = "select message_id, outcome, destinations from outbox.take_back_plan(%s, null)"
    planned = conn.execute(query, [[session_id]]).fetchall()
    assert planned == [(gone, "sent", ["stdout:"]), (held, "cancelled", ["stdout:"])]
    assert take_back(conn, session_id) == {gone: "sent", held: "cancelled"}


def test_only_the_messages_of_the_named_steps_are_taken_back(conn: Connection) -> None:
    session_id = open_session(conn)
    with conn.transaction():
        step_id = scalar(conn, "select step_id from journal.begin_step(%s, 'tool')", [session_id])
        inside = publish(conn, hold="1h")
        conn.execute("select journal.complete_step(%s)", [step_id])
    publish_in(conn, session_id, hold="1h")
    query = "select message_id from outbox.take_back(%s, %s, %s)"
    assert column(conn, query, [[session_id], [step_id], uuid4()]) == [inside]


def test_nobody_holds_a_key_for_a_century(conn: Connection) -> None:
    publish(conn, hold="7 days")
    with pytest.raises(psycopg.DatabaseError, match="at the longest") as refused:
        publish(conn, hold="7 days 1 second")
    assert sqlstate_of(refused.value) == "OX000"
