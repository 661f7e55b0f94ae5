"""Case 29: rollbacks that are rolled back, whole or in part, and what may be done after them."""

from __future__ import annotations

from tests.journal.rollback.history import PRODUCTS, History


def test_case_29_redo(history: History) -> None:
    """Redo of a rollback → exact; and a redo of the redo."""
    history.given(*PRODUCTS)
    history.agent(
        "update products set price = 20, note = null where id = 1",
        "delete from products where id = 2",
        "insert into products values (3, 3, '')",
    )
    after = history.snapshot()
    undone = history.roll_back()
    redone = history.redo(undone)
    assert redone.rows == {"restore": 1, "remove": 1, "reinsert": 1}
    assert history.snapshot() == after
    assert (
        history.one("select reversed_by from journal.rollbacks where rollback_id = %s", undone.rollback_id)
        == redone.rollback_id
    )
    assert history.redo(redone).rows == {"restore": 1, "remove": 1, "reinsert": 1}
    history.expect_start()


def test_case_29_what_a_rollback_left_needs_nobody_once_it_is_redone(history: History) -> None:
    """Nobody has to do anything about it while that rollback is not in effect."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20")
    history.others("update products set price = 33 where id = 1")
    undone = history.roll_back("skip")
    left = "select note from journal.residue where resolved_at is {} null"
    assert history.rows(left.format("")) == {(None,)}
    redone = history.redo(undone)
    assert history.rows(left.format("not")) == {(f"taken back by {redone.rollback_id}",)}
    history.redo(redone)
    assert history.rows(left.format("")) == {(None,)}
    assert history.rows("select rollback_id from journal.rollbacks where reversed_by is not null") == {
        (redone.rollback_id,)
    }


def test_case_29_redo_after_others_edited(history: History) -> None:
    """Redo after T edited → CONFLICT."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20")
    undone = history.roll_back()
    history.others("update products set price = 33 where id = 1")
    redone = history.redo(undone, "skip")
    assert redone.rows == {"restore": 1, "conflict": 1}
    assert redone.conflict["reason"] == "changed_since"
    assert history.rows("table products") == {(1, 33, "a"), (2, 20, "b")}


def test_case_29_session_rolled_back_again_after_its_redo(history: History) -> None:
    """Rolled back, redone, rolled back by its own id: as if it were the first time."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20", "delete from products where id = 2")
    history.redo(history.roll_back())
    done = history.roll_back()
    assert done.rows == {"restore": 1, "reinsert": 1}
    history.expect_start()


def test_case_29_taken_back_in_two_goes_of_which_one_is_redone(history: History) -> None:
    """What the first partial rollback took back is the session's again once that one is redone, whatever the second did."""
    history.given(
        "create table parent (id int primary key)", "create table child (id int primary key references parent)"
    )
    history.agent("insert into parent values (1), (2), (3)")
    history.others("insert into child values (2), (3)")
    first = history.roll_back("skip")
    assert first.rows == {"remove": 1, "conflict": 2}
    history.others("delete from child where id = 2")
    assert history.roll_back("skip").rows == {"noop": 1, "remove": 1, "conflict": 1}
    assert history.redo(first).rows == {"reinsert": 1}
    history.others("delete from child")
    assert history.roll_back().rows == {"noop": 1, "remove": 2}
    history.expect_start()


def test_case_29_redone_in_part(history: History) -> None:
    """A redo leaves the row that T wrote meanwhile: that row stays taken back, and is T's, even where force is asked for."""
    history.given(*PRODUCTS, "insert into products values (3, 10, 'c')")
    session = history.agent("update products set price = 20")
    history.others("update products set price = 11 where id = 1")
    first = history.roll_back("skip")
    history.others("update products set price = 33 where id = 3")
    assert history.redo(first, "skip").rows == {"restore": 1, "conflict": 1}
    assert history.one("select reversed from journal.sessions where session_id = %s", session) == "partly"
    done = history.roll_back("force", session)
    assert done.rows == {"restore": 1, "noop": 1, "force": 1}
    assert history.rows("select id, price from products") == {(1, 10), (2, 10), (3, 33)}
    history.redo(done)
    assert history.rows("select id, price from products") == {(1, 11), (2, 20), (3, 33)}


def test_case_29_a_redo_in_part_taken_back_in_part(history: History) -> None:
    """What still stands of each rollback decides, row by row, however often they were rolled back themselves."""
    history.given(*PRODUCTS, "insert into products values (3, 10, 'c')")
    session = history.agent("update products set price = 20")
    first = history.roll_back()
    history.others("update products set price = 33 where id = 3")
    second = history.redo(first, "skip")
    history.others("update products set price = 22 where id = 2")
    assert history.redo(second, "skip").rows == {"restore": 1, "conflict": 1}
    assert history.roll_back("force", session).rows == {"noop": 2, "force": 1}
    assert history.rows("select id, price from products") == {(1, 10), (2, 10), (3, 33)}


def test_case_29_two_goes_of_which_the_first_is_redone(history: History) -> None:
    """The second go took the row of T's back by force, T wrote it again: it stays T's when the first is redone."""
    history.given(*PRODUCTS)
    session = history.agent("update products set price = 20")
    history.others("update products set price = 11 where id = 1")
    first = history.roll_back("skip")
    assert history.roll_back("force").rows == {"noop": 1, "force": 1}
    history.others("update products set price = 44 where id = 1")
    history.redo(first)
    assert history.one("select reversed from journal.sessions where session_id = %s", session) == "partly"
    assert history.roll_back("force", session).rows == {"restore": 1, "noop": 1}
    assert history.roll_back("force", session).rows == {"noop": 2}
    assert history.rows("select id, price from products") == {(1, 44), (2, 10)}


def test_case_29_steps_and_sessions_that_share_a_rollback_redone_in_part(history: History) -> None:
    """Of a rollback that stands in part, only what it did to the session that is rolled back now counts."""
    history.given(*PRODUCTS)
    one = history.open("a")
    step = history.step("reprice", "update products set price = 20")
    two = history.open("b")
    history.agent("update products set note = 'two'", session=two)
    both = history.roll_back("refuse", one, two)
    history.others("update products set note = 'theirs' where id = 1")
    assert history.redo(both, "skip").rows == {"restore": 1, "conflict": 1}
    assert history.roll_back("force", one, step_ids=[step]).rows == {"restore": 1, "noop": 1}
    assert history.rows("table products") == {(1, 10, "theirs"), (2, 10, "two")}
    assert history.roll_back("refuse", two).rows == {"restore": 1, "noop": 1}
    assert history.rows("table products") == {(1, 10, "theirs"), (2, 10, "b")}
