"""Rollbacks of sessions whose rows an earlier rollback has written: what it moved, and what it left."""

from __future__ import annotations

from tests.journal.rollback.history import History

SUMMED = (
    "create table item (id int primary key, v int)",
    "create table summary (id int primary key, n int)",
    """create function keep() returns trigger language plpgsql as $$begin
        update summary set n = n + case tg_op when 'DELETE' then -1 else 1 end;
        return null; end$$""",
    "create trigger keep after insert or delete on item for each row execute function keep()",
    "insert into summary values (1, 0)",
    "insert into item values (1, 1), (2, 2)",
)


def test_a_row_that_an_earlier_rollback_gave_its_key_back_is_not_the_one_that_has_the_key_now(history: History) -> None:
    """Taken back by cascade, what T had written at that key was written to the other row, without an error."""
    history.given("create table t (id int primary key, v int)", "insert into t values (1, 1), (3, 3), (5, 5)")
    history.agent("delete from t where id = 5", "update t set id = 5 where id = 1", "update t set v = 30 where id = 3")
    ours = history.session
    assert ours is not None
    theirs = history.agent("update t set v = 0", session=history.open("other"))
    assert history.roll_back("skip", ours).rows == {"restore": 1, "reinsert": 1, "conflict": 1}
    assert history.rows("table t") == {(1, 0), (3, 0), (5, 5)}
    history.stop(theirs)
    done = history.roll_back("cascade", ours)
    assert {s["why"] for s in done.raw["sessions"]} == {"named", "cascade"}
    history.expect_start()


def test_a_row_whose_key_was_put_back_and_changed_again_by_rollbacks_is_where_it_was(history: History) -> None:
    history.given("create table t (id int primary key, v int)", "insert into t values (1, 1), (2, 2)")
    history.agent("update t set id = 5 where id = 1", "update t set id = 1, v = 3 where id = 2")
    ours = history.session
    assert ours is not None
    history.redo(history.roll_back())
    assert history.rows("table t") == {(5, 1), (1, 3)}
    assert history.roll_back("refuse", ours).rows == {"restore": 2}
    history.expect_start()


def test_a_total_of_rows_that_others_put_back_is_left_to_its_trigger(history: History) -> None:
    """T put the row back and another away, in one transaction; the total looked untouched, and had it twice."""
    history.given(*SUMMED)
    history.agent("delete from item where id = 1")
    history.others("insert into item values (1, 1); delete from item where id = 2")
    assert history.roll_back().reasons == {"changed_and_back"}
    assert history.roll_back("skip").rows == {"noop": 1, "conflict": 1}
    assert history.roll_back("skip").outcome == "nothing"
    assert history.rows("table summary") == {(1, 1)}
