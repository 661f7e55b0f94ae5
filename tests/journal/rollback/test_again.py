"""Cases 22, 23 and 29: rolled back again, and again what an earlier rollback had left."""

from __future__ import annotations

import pytest

from tests.journal.rollback.history import PRODUCTS, History


def test_case_22_later_session_first_then_the_earlier(history: History) -> None:
    """Two sessions on one value: the later one is rolled back, then nobody stands in the way of the earlier one."""
    history.given(*PRODUCTS)
    first = history.agent("update products set price = 20")
    second = history.open("other-bot")
    history.agent("update products set price = 30")
    assert history.roll_back("refuse", first).outcome == "refused"
    assert history.roll_back("refuse", second).rows == {"restore": 2}
    assert history.roll_back("refuse", first).rows == {"restore": 2}
    history.expect_start()


def test_case_22_both_sessions_in_one_plan(history: History) -> None:
    """Both in one plan: one row each, both changes accounted."""
    history.given(*PRODUCTS)
    first = history.agent("update products set price = 20")
    second = history.open("other-bot")
    history.agent("update products set price = 30")
    done = history.roll_back("refuse", first, second)
    assert (done.rows, done.changes) == ({"restore": 2}, {"restore": 4})
    assert [s["why"] for s in done.raw["sessions"]] == ["named", "named"]
    history.expect_start()


def test_case_23_the_same_session_twice(history: History) -> None:
    """The same session rolled back twice → the second is a NOOP and says so."""
    history.given(*PRODUCTS)
    history.agent(
        "update products set price = 20", "delete from products where id = 2", "insert into products values (3, 3, '')"
    )
    assert history.roll_back().outcome == "done"
    again = history.roll_back()
    assert (again.outcome, again.exit_code, again.committed) == ("nothing", 4, False)
    assert set(again.rows) == {"noop"}
    assert history.one("select journal.rollback(%s)", history.session) is None
    history.expect_start()


def test_case_23_twice_after_others_went_on(history: History) -> None:
    """A second rollback takes nothing from those who went on after the first."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20")
    history.roll_back()
    history.others("update products set price = 33 where id = 1")
    assert history.roll_back("skip").outcome in {"nothing", "partly"}
    assert history.rows("table products") == {(1, 33, "a"), (2, 10, "b")}


@pytest.mark.parametrize("mode", ["refuse", "skip", "force"])
def test_case_29_what_a_partial_rollback_took_back_is_theirs(history: History, mode: str) -> None:
    """T writes a row that was taken back, S is rolled back again → noop: only the row that was left is in question."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20", "update products set note = 'ours'")
    history.others("update products set price = 33 where id = 1")
    assert history.roll_back("skip").rows == {"restore": 1, "conflict": 1}
    history.others("update products set price = 20 where id = 2", "update products set id = 3 where id = 2")
    again = history.roll_back(mode)
    assert again.rows == {"noop": 2, "force" if mode == "force" else "conflict": 1}
    assert {c["key"]["id"] for c in again.conflicts} == {"1"}
    assert history.rows("table products") == {(1, 10, "a") if mode == "force" else (1, 33, "ours"), (3, 20, "b")}


def test_case_29_left_under_the_key_that_others_gave_it(history: History) -> None:
    """A row is left that T has given another key: the next rollback knows it again by its change."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20")
    history.others("update products set price = 33 where id = 1", "update products set id = 3 where id = 1")
    assert history.roll_back("skip").rows == {"restore": 1, "conflict": 1}
    history.others("update products set note = 'theirs', price = 44")
    assert history.roll_back("refuse").rows == {"noop": 1, "conflict": 1}


def test_case_29_a_step_partly_and_then_the_session(history: History) -> None:
    """A step is partly taken back, T writes what was, then all is rolled back: the other step, and what was left of that one."""
    history.given(*PRODUCTS)
    step = history.step("reprice", "update products set price = 20")
    history.step("note", "update products set note = 'ours'")
    history.others("update products set price = 33 where id = 1")
    assert history.roll_back("skip", step_ids=[step]).rows == {"restore": 1, "conflict": 1}
    history.others("update products set price = 44 where id = 2")
    assert history.roll_back("skip").rows == {"noop": 1, "restore": 1, "conflict": 1}
    assert history.rows("table products") == {(1, 33, "ours"), (2, 44, "b")}


def test_case_29_a_table_that_is_only_recorded_is_left_every_time(history: History) -> None:
    """What stands in the way of a whole table stays a conflict; it hides nothing of the others."""
    history.given(*PRODUCTS, "create table log (id int primary key)", log={"undo": False})
    history.agent("update products set price = 20", "insert into log values (1)")
    assert history.roll_back("skip").rows == {"restore": 2, "conflict": 1}
    history.others("update products set price = 44")
    again = history.roll_back("skip")
    assert (again.outcome, again.rows) == ("nothing", {"noop": 2, "conflict": 1})


BACK_AND_FORTH = [
    ("update t set v = 2 where id = 1", "update t set v = 1 where id = 1", "changed_and_back"),
    ("insert into t values (9, 9)", "delete from t where id = 9", "deleted_since"),
    ("delete from t where id = 1", "insert into t values (1, 1)", "key_reused"),
]


@pytest.mark.parametrize(("forth", "back", "reason"), BACK_AND_FORTH, ids=["update", "insert", "delete"])
def test_a_step_that_a_later_one_undid_is_taken_back_with_it(
    history: History, forth: str, back: str, reason: str
) -> None:
    """The first counted as taken back, with nothing to do; then the second brought back what the first had made."""
    history.given("create table t (id int primary key, v int)", "insert into t values (1, 1), (2, 2)")
    first = history.step("a", forth)
    history.step("b", back)
    refused = history.roll_back("refuse", step_ids=[first])
    assert (refused.outcome, refused.reasons) == ("refused", {reason})
    assert refused.conflict["their"]["session_id"] == str(history.session)
    assert history.roll_back("skip", step_ids=[first]).rows == {"conflict": 1}
    assert history.roll_back().rows == {"noop": 1}
    history.expect_start()


def test_steps_that_undo_each_other_are_nothing_together(history: History) -> None:
    history.given("create table t (id int primary key, v int)", "insert into t values (1, 1), (2, 2)")
    steps = [history.step("a", "update t set v = 2 where id = 1"), history.step("b", "update t set v = 1 where id = 1")]
    assert history.roll_back(step_ids=steps).rows == {"noop": 1}
    history.expect_start()


def test_a_step_that_others_undid_needs_nothing(history: History) -> None:
    """Nor where a later step of the session changed another column of the row."""
    history.given("create table t (id int primary key, v int, w int default 0)", "insert into t values (1, 1)")
    first = history.step("a", "update t set v = 2 where id = 1")
    history.others("update t set v = 1 where id = 1")
    history.step("b", "update t set w = 5 where id = 1")
    assert history.roll_back(step_ids=[first]).rows == {"noop": 1}


@pytest.mark.parametrize(("forth", "back", "reason"), BACK_AND_FORTH, ids=["update", "insert", "delete"])
@pytest.mark.parametrize("undone_by", ["parent", "sibling"])
def test_a_session_that_its_parent_undid_is_taken_back_with_it(
    history: History, forth: str, back: str, reason: str, undone_by: str
) -> None:
    """Or that another session within the parent did: when the parent was rolled back later, what the first had made came back."""
    history.given("create table t (id int primary key, v int)", "insert into t values (1, 1), (2, 2)")
    parent = history.open()
    first, second = history.open(parent=parent), history.open(parent=parent)
    history.agent(forth, session=first)
    history.agent(back, session=parent if undone_by == "parent" else second)
    refused = history.roll_back("refuse", first)
    assert (refused.outcome, refused.reasons) == ("refused", {reason})
    assert history.roll_back("skip", first).rows == {"conflict": 1}
    history.stop(second)
    assert history.roll_back("refuse", parent).rows == {"noop": 1}
    history.expect_start()
