"""A key stands for one effect, per tenant and tool, whichever session calls."""

# ruff: noqa: SIM117  what is tested is the body of a step, in its session

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest

import journal
from tests.journal.steps.support import column, note, notes, one, statuses


@pytest.mark.parametrize("key", ["", "x" * 513, "ä" * 257])
def test_a_key_has_1_to_512_bytes(db: psycopg.Connection, agent: journal.AgentSession, key: str) -> None:
    with pytest.raises(journal.InvalidKey) as caught, agent.step("refund", key=key):
        pytest.fail("the body ran")
    assert caught.value.tool == "refund"
    assert caught.value.exit_code == 2
    assert statuses(db, agent) == []


@pytest.mark.parametrize("key", ["x" * 512, "ä" * 256, "'; drop table orders; --", "a b\n\t|%s $1 :x"])
def test_any_text_of_that_length_is_a_key(agent: journal.AgentSession, key: str) -> None:
    for replayed in (False, True):
        with agent.step("refund", key=key) as step:
            assert step.replayed is replayed


def test_what_is_no_step_is_refused_in_our_words_before_anything_is_sent(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    def refused(error: type[journal.JournalError], **options: Any) -> str:
        with pytest.raises(error) as caught, agent.step(**{"tool": "refund", **options}):
            pytest.fail("the body ran")
        return str(caught.value)

    for key in (42, b"k", uuid4(), "a\0b", "\ud800"):
        assert refused(journal.InvalidKey, key=key).startswith("the key of a step is text")
    for attempt in (0, -1, None, "2", 1.5, True, 2**31):
        assert refused(journal.InvalidKey, key="k", attempt=attempt) == "attempts are counted from 1"
    for tool in (5, None, "", "a\0b", "x" * 513):
        assert "the name of " in refused(journal.StepError, tool=tool)
    for wait in (None, "10", float("nan"), True):
        assert refused(journal.StepError, wait=wait) == "wait is a number of seconds"
    for kind in (3, "", "destructive"):
        assert "kind" in refused(journal.UnknownKind, kind=kind)
    assert statuses(db, agent) == []


def test_any_number_of_seconds_is_a_wait(agent: journal.AgentSession) -> None:
    for wait in (0, -1, 0.5, 1e12, float("inf")):
        with agent.step("refund", key="k", wait=wait):
            pass


def test_a_key_is_shared_by_all_sessions(db: psycopg.Connection) -> None:
    one_agent = journal.open_session(db, agent="one")
    other_agent = journal.open_session(db, agent="other")
    with one_agent.step("refund", key="k") as first:
        first.complete(1)
    with other_agent.step("refund", key="k") as second:
        pass
    assert second.replayed
    assert second.receipt == first.receipt
    assert second.result == 1
    query = "select replay_of from journal.steps where session_id = %s"
    assert one(db, query, other_agent.id) == first.id


def test_a_key_belongs_to_its_tool(agent: journal.AgentSession) -> None:
    with agent.step("refund", key="k"):
        pass
    with agent.step("ship", key="k") as step:
        assert not step.replayed


def test_a_key_belongs_to_its_tenant(db: psycopg.Connection) -> None:
    for tenant in ("north", "south", ""):
        session = journal.open_session(db, agent="bot", tenant=tenant)
        with session.step("refund", key="k") as step:
            assert not step.replayed
    assert column(db, "select tenant from journal.steps order by started_at") == ["north", "south", ""]


def test_steps_without_a_key_are_never_replayed(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    for _ in range(2):
        with agent.step("note") as step:
            assert not step.replayed
            note(db)
    assert notes(db) == 2


@pytest.mark.parametrize(
    ("first", "second", "differences"),
    [
        ({"order": 1}, {"order": 2}, ["order"]),
        ({"order": 1}, {"order": 1, "line": 7}, ["line"]),
        ({"order": 1, "to": {"iban": "a"}}, {"order": 1, "to": {"iban": "b"}}, ["to"]),
        ({"order": 1}, None, ["order"]),
        (None, {"order": 1}, ["order"]),
        ([1, 2], [1, 3], []),
    ],
)
def test_other_arguments_are_refused(
    agent: journal.AgentSession, first: object, second: object, differences: list[str]
) -> None:
    with agent.step("refund", key="k", arguments=first):
        pass
    with pytest.raises(journal.ArgumentsDiffer) as caught, agent.step("refund", key="k", arguments=second):
        pytest.fail("the body ran")
    assert caught.value.differences == differences
    assert (caught.value.tool, caught.value.key) == ("refund", "k")


@pytest.mark.parametrize(
    ("first", "second"),
    [({"a": 1, "b": 2}, {"b": 2, "a": 1}), ({"n": 1.0}, {"n": 1}), ({"n": 1.50}, {"n": 1.5}), (None, None)],
)
def test_arguments_are_compared_as_jsonb(agent: journal.AgentSession, first: object, second: object) -> None:
    with agent.step("refund", key="k", arguments=first):
        pass
    with agent.step("refund", key="k", arguments=second) as step:
        assert step.replayed


def test_arguments_that_are_not_stored_are_still_compared(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("refund", key="k", arguments={"iban": "DE02"}, store_arguments=False):
        pass
    assert one(db, "select arguments from journal.steps") is None
    assert "DE02" not in one(db, "select document::text from journal.receipts")
    with agent.step("refund", key="k", arguments={"iban": "DE02"}, store_arguments=False) as step:
        assert step.replayed
    with agent.step("refund", key="k", arguments={"iban": "DE02"}) as step:
        assert step.replayed
    with pytest.raises(journal.ArgumentsDiffer), agent.step("refund", key="k", arguments={"iban": "DE03"}):
        pytest.fail("the body ran")


def test_details_are_not_compared(agent: journal.AgentSession) -> None:
    for n in range(2):
        with agent.step("refund", key="k", arguments={"order": 1}, details={"note": f"try {n}"}) as step:
            assert step.replayed is bool(n)


def test_what_is_said_of_arguments_shows_no_values(agent: journal.AgentSession) -> None:
    with agent.step("refund", key="k", arguments={"iban": "DE02"}):
        pass
    with pytest.raises(journal.ArgumentsDiffer) as caught, agent.step("refund", key="k", arguments={"iban": "DE03"}):
        pytest.fail("the body ran")
    assert "DE0" not in str(caught.value)


def test_a_later_attempt_is_refused_while_the_one_before_is_in_effect(agent: journal.AgentSession) -> None:
    with agent.step("refund", key="k"):
        pass
    with pytest.raises(journal.InvalidKey, match="attempt 2"), agent.step("refund", key="k", attempt=2):
        pytest.fail("the body ran")
    with pytest.raises(journal.InvalidKey, match="attempt 3"), agent.step("refund", key="k", attempt=3):
        pytest.fail("the body ran")
    with pytest.raises(journal.InvalidKey), agent.step("refund", key="new", attempt=0):
        pytest.fail("the body ran")


def test_a_reversed_key_names_the_next_attempt(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("note", key="k"):
        note(db)
    for attempt in (2, 3):
        rolled_back = journal.rollback(db, agent)
        agent = journal.open_session(db, agent="bot")
        for asked in range(1, attempt):
            with pytest.raises(journal.StepReversed) as caught, agent.step("note", key="k", attempt=asked):
                pytest.fail("the body ran")
            assert caught.value.next_attempt == attempt
        assert caught.value.rollback_id == str(rolled_back.rollback_id)
        with agent.step("note", key="k", attempt=attempt) as step:
            assert not step.replayed
            note(db)
    with pytest.raises(journal.StepReversed) as caught, agent.step("note", key="k"):
        pytest.fail("the body ran")
    assert caught.value.next_attempt == 3
    with agent.step("note", key="k", attempt=3) as step:
        assert step.replayed
    assert notes(db) == 1


def test_a_rollback_that_was_rolled_back_gives_the_key_its_result_back(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    with agent.step("note", key="k") as first:
        note(db)
        first.complete("done")
    undo = journal.rollback(db, agent)
    redo = journal.rollback(db, undo.rollback_id)
    assert redo.outcome == "done"
    assert notes(db) == 1
    again = journal.open_session(db, agent="bot")
    with again.step("note", key="k") as step:
        assert step.replayed
    assert step.result == "done"
    journal.rollback(db, redo.rollback_id)
    with pytest.raises(journal.StepReversed), again.step("note", key="k"):
        pytest.fail("the body ran")


def test_a_single_step_is_rolled_back(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("note", key="a") as undone:
        note(db)
    with agent.step("note", key="b"):
        note(db)
    report = journal.rollback(db, agent, steps=[undone.id])
    assert report.as_json()["keys_reversed"] == 1
    assert notes(db) == 1
    with pytest.raises(journal.StepReversed), agent.step("note", key="a"):
        pytest.fail("the body ran")
    with agent.step("note", key="b") as step:
        assert step.replayed
    assert one(db, "select reversed from journal.sessions where session_id = %s", agent.id) == "partly"
    assert statuses(db, agent) == ["reversed", "completed", "replayed"]


def test_an_expired_key_is_free(db: psycopg.Connection, superuser_dsn: str, agent: journal.AgentSession) -> None:
    with agent.step("note", key="k"):
        note(db)
    expires = one(db, "select key_expires_at - started_at from journal.steps")
    assert expires.days == 30
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        admin.execute("update journal.step set key_expires_at = now() - interval '1 second'")
    with agent.step("note", key="k", arguments={"other": 1}) as step:
        assert not step.replayed
        note(db)
    with agent.step("note", key="k", arguments={"other": 1}) as step:
        assert step.replayed
    assert notes(db) == 2


def test_an_expired_attempt_is_not_run_again_while_a_later_one_is_kept(
    db: psycopg.Connection, superuser_dsn: str, agent: journal.AgentSession
) -> None:
    with agent.step("note", key="k"):
        note(db)
    journal.rollback(db, agent)
    agent = journal.open_session(db, agent="bot")
    with agent.step("note", key="k", attempt=2):
        note(db)
    expire = "update journal.step set key_expires_at = now() - interval '1 second' where attempt = any (%s)"
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        admin.execute(expire, [[1]])
        with pytest.raises(journal.StepReversed) as caught, agent.step("note", key="k"):
            pytest.fail("the body ran")
        assert caught.value.next_attempt == 2
        admin.execute(expire, [[1, 2]])
    with agent.step("note", key="k") as step:
        assert not step.replayed


def test_a_step_inside_itself_is_told_that_it_is_in_progress(agent: journal.AgentSession) -> None:
    with agent.step("refund", key="k"):
        with pytest.raises(journal.StepInProgress), agent.step("refund", key="k", join=True):
            pytest.fail("the body ran")
