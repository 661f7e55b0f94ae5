"""What a rollback leaves whole: steps of which nothing is taken back keep their messages, keys and receipts."""

from __future__ import annotations

import pytest

from tests.journal.rollback.history import PRODUCTS, History

_STEPS = "select tool, status from journal.steps"
_MESSAGES = "select topic, status from outbox.messages"


def _publish(topic: str, more: str = "") -> str:
    return f"select outbox.publish('{topic}', 'k', '{{}}'{more})"


def _left_and_undone(history: History) -> None:
    """Two steps with a key and a message each; T has written the row of the first."""
    history.given(*PRODUCTS)
    history.step("left", "update products set price = 20 where id = 1", _publish("left"), key="one")
    history.step("undone", "update products set price = 20 where id = 2", _publish("undone"), key="two")
    history.others("update products set price = 25 where id = 1")


def test_a_step_that_is_left_whole_keeps_its_message(history: History) -> None:
    """Its row stands, so what it told the others stays true: the message was cancelled, the key could be used again."""
    _left_and_undone(history)
    done = history.roll_back("skip")
    assert (done.rows, done.raw["messages"]["cancel"], done.raw["keys_reversed"]) == (
        {"restore": 1, "conflict": 1},
        1,
        1,
    )
    assert history.rows(_MESSAGES) == {("left", "pending"), ("undone", "cancelled")}
    assert history.rows(_STEPS) == {("left", "completed"), ("undone", "reversed")}
    assert [(n["kind"], n["name"]) for n in done.raw["notes"]] == [("message", "left")]
    assert history.rows("select tool, status from journal.receipts") == {("left", "committed"), ("undone", "reversed")}


def test_a_step_that_was_left_is_taken_back_by_a_later_rollback(history: History) -> None:
    """T gives way: the next rollback takes the row back, and now the message."""
    _left_and_undone(history)
    history.roll_back("skip")
    history.others("update products set price = 20 where id = 1")
    done = history.roll_back("force")
    assert (done.rows, done.raw["messages"]["cancel"], done.raw["keys_reversed"]) == ({"noop": 1, "force": 1}, 1, 1)
    assert history.rows(_STEPS) == {("left", "reversed"), ("undone", "reversed")}
    history.redo(done)
    assert history.rows(_STEPS) == {("left", "completed"), ("undone", "reversed")}


def test_a_step_that_is_taken_back_in_part_does_not_keep_its_message(history: History) -> None:
    """One of its rows is taken back: what the message says is no longer so."""
    history.given(*PRODUCTS)
    history.step("reprice", "update products set price = 20", _publish("prices"))
    history.others("update products set price = 25 where id = 1")
    done = history.roll_back("skip")
    assert (done.raw["messages"]["cancel"], done.raw["notes"]) == (1, [])
    assert history.rows(_STEPS) == {("reprice", "reversed")}


def test_a_sent_message_of_a_step_that_is_left_whole_is_no_residue(history: History) -> None:
    """Neither is it answered by its compensation: that would deny what stands."""
    history.given(*PRODUCTS)
    step = history.step(
        "reprice",
        "update products set price = 20 where id = 1",
        _publish("plain"),
        _publish("answered", """, compensation => '{"undone": true}'"""),
    )
    history.operator.execute("select outbox.seal()")
    history.others("update products set price = 25 where id = 1")
    done = history.roll_back("skip", step_ids=[step])
    assert (done.outcome, done.raw["messages"]) == ("partly", {"cancel": 0, "compensate": 0, "sent": 0})
    assert done.raw["residue"] == []
    assert history.one("select count(*) from outbox.messages") == 2


def test_what_was_done_outside_of_steps_is_left_by_transaction(history: History) -> None:
    """Bound transactions without steps: each keeps its messages, or does not."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20 where id = 1", _publish("left"))
    history.agent("update products set price = 20 where id = 2", _publish("undone"))
    history.others("update products set price = 25 where id = 1")
    history.roll_back("skip")
    assert history.rows(_MESSAGES) == {("left", "pending"), ("undone", "cancelled")}


@pytest.mark.parametrize("undone", [True, False])
def test_a_total_decides_nothing_about_a_step(history: History, undone: bool) -> None:
    """What a trigger wrote for a row goes, or stays, with that row."""
    history.given(
        "create table item (id int primary key, v int)",
        "create table total (id int primary key, v int)",
        "insert into total values (1, 0)",
        """create function add_up() returns trigger language plpgsql as $$ begin
               update total set v = v + new.v - old.v; return null; end $$""",
        "create trigger add_up after update on item for each row execute function add_up()",
        "insert into item values (1, 1), (2, 2)",
    )
    history.step("left", "update item set v = 5 where id = 1", _publish("left"))
    if undone:
        history.step("undone", "update item set v = 6 where id = 2", _publish("undone"))
    history.others("update item set v = 7 where id = 1")
    history.roll_back("skip", followers=["total"])
    assert ("left", "pending") in history.rows(_MESSAGES)
    assert (("undone", "cancelled") in history.rows(_MESSAGES)) is undone


def test_a_redo_that_leaves_all_brings_nothing_to_life_again(history: History) -> None:
    """The rollback stands, so what it cancelled stays cancelled and what it reversed stays reversed."""
    history.given(*PRODUCTS)
    history.step("reprice", "update products set price = 20 where id = 1", _publish("prices"), key="one")
    undone = history.roll_back()
    history.others("update products set price = 25 where id = 1")
    redone = history.redo(undone, "skip")
    assert (redone.rows, redone.raw["messages"]["compensate"]) == ({"conflict": 1}, 0)
    assert history.rows(_MESSAGES) == {("prices", "cancelled")}
    assert history.rows(_STEPS) == {("reprice", "reversed")}


def test_a_table_that_is_only_recorded_leaves_its_step(history: History) -> None:
    """All that the step changed is in a table that no rollback touches."""
    history.given("create table log (id int primary key)", log={"undo": False})
    history.step("log", "insert into log values (1)", _publish("logged"))
    history.roll_back("skip")
    assert history.rows(_MESSAGES) == {("logged", "pending")}
