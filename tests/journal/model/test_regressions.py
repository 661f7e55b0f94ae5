"""Histories that a rollback once got wrong, found by the model checker and shrunk."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from tests.journal.model.checks import check_history
from tests.journal.model.history import History
from tests.journal.model.schema import TRIGGER_COLUMNS, Schema, Table
from tests.journal.model.stories import (
    NAMED_AFTER,
    OWNED,
    PLAIN,
    ROW_ID,
    SUMMED,
    SUMMED_WIDE,
    TOTALS,
    WHOLE_AND_PARTS,
    WHOLE_WITH_PARTS,
    WIDE,
    K,
    V,
    story,
)

pytestmark = pytest.mark.long

SEEDS = (27, 35)  # with plan and dry run: rollback, redo, rollback again; rollback, the same again, redo, its rollback


def _findings(conn: psycopg.Connection, history: History) -> list[str]:
    """What does not hold of the history, in different courses of rehearsal, rollback and redo."""
    results = [check_history(conn, replace(history, seed=seed), f"regression_{seed}") for seed in SEEDS]
    return [str(finding) for result in results for finding in result.findings]


ONE = "insert into t (k, v) values (1, 5)"
TWO = "insert into t (k, v) values (1, 5), (2, 5)"


def test_an_inserted_row_whose_key_followed_its_parent_is_removed(conn: psycopg.Connection) -> None:
    """The undo of the parent's key moved the row away from the key under which it was to be removed."""
    course = ("S: insert into child (k) values (4)", "S: update parent set k = 3 where k = 4")
    assert not _findings(conn, story(NAMED_AFTER, "insert into parent (k) values (4)", *course))


def test_a_key_that_was_renamed_deleted_and_inserted_again(conn: psycopg.Connection) -> None:
    """The row that is to come back met the row that is to go, under the same key."""
    course = ("S: update t set k = 2 where k = 1", "S: delete from t", "S: insert into t (k, v) values (1, 6)")
    assert not _findings(conn, story(PLAIN, ONE, *course))


def test_a_renamed_row_whose_old_key_was_taken_by_an_inserted_one(conn: psycopg.Connection) -> None:
    """The row that took its key is removed by the same rollback, but stood in the way."""
    course = ("S: update t set k = 2 where k = 1", "S: insert into t (k, v) values (1, 6)")
    assert not _findings(conn, story(PLAIN, ONE, *course))


def test_rows_that_moved_up_one_after_the_other(conn: psycopg.Connection) -> None:
    """A row that had its key back stood under one that another was to leave, and was moved again in its place."""
    course = (
        "S: update t set k = 3 where k = 1",
        "S: update t set k = 1 where k = 2",
        "S: update t set v = 8 where k = 1",
    )
    assert not _findings(conn, story(PLAIN, TWO, *course))


def test_an_inserted_row_that_others_gave_another_key(conn: psycopg.Connection) -> None:
    """It was not found under its key and taken for deleted; but it is there, and somebody works with it."""
    course = ("S: insert into t (k, v) values (1, 5)", "T: update t set k = 2 where k = 1")
    assert not _findings(conn, story(PLAIN, (), *course))


def test_an_updated_row_that_others_gave_another_key(conn: psycopg.Connection) -> None:
    """It was not found under its key and taken for deleted; nobody but the session had changed what goes back."""
    course = (
        "S: update t set v = 6 where k = 1",
        "T: update t set k = 3 where k = 1",
        "T: update t set k = 4 where k = 3",
    )
    assert not _findings(conn, story(PLAIN, TWO, *course))


def test_a_row_that_others_changed_and_changed_back_before_they_gave_it_another_key(conn: psycopg.Connection) -> None:
    """Followed to its new key, what had happened at the old one is not forgotten."""
    course = ("S: update t set v = 6", "T: update t set v = 7", "T: update t set v = 6", "T: update t set k = 3")
    assert not _findings(conn, story(PLAIN, ONE, *course))


def test_a_key_that_a_row_of_the_session_holds(conn: psycopg.Connection) -> None:
    """Keys went back before anything else, while a row that goes away with the rollback still referred to one."""
    setup = ("insert into parent (k) values (2)", "insert into child (k, w) values (1, 2)")
    assert not _findings(conn, story(OWNED, setup, "S: delete from child", "S: update parent set k = 1"))


def test_a_held_key_that_another_row_takes(conn: psycopg.Connection) -> None:
    """Put back by one statement, the images of the two rows had no order, and a redo took them for one. It is refused instead."""
    setup = ("insert into parent (k) values (1)", "insert into child (k) values (1)")
    course = ("S: update parent set k = 3", "S: update child set w = 3; insert into parent (k) values (1)")
    assert not _findings(conn, story(OWNED, setup, *course))


def test_a_total_that_triggers_lowered_and_raised_again_for_others(conn: psycopg.Connection) -> None:
    """It was taken for somebody's decision."""
    course = ("S: update t set k = 3 where k = 1", "T: update t set w = 7")
    assert not _findings(conn, story(SUMMED_WIDE, "insert into t (k, v, w) values (1, 5, 5)", *course))


def test_a_replaced_row_that_others_changed_between_rollback_and_redo(conn: psycopg.Connection) -> None:
    """The model took it for another row; by its key it is the same, and what others changed in it stays."""
    course = ("S: delete from t where k = 1; insert into t (k, v, w) values (1, 6, 5)",)
    late = ("T: update t set w = 7",)
    assert not _findings(conn, story(WIDE, "insert into t (k, v, w) values (1, 5, 5)", *course, late=late))


def test_a_touch_trigger_that_also_fires_on_insert(conn: psycopg.Connection) -> None:
    """Only updates were probed, so a row that was inserted again looked rewritten."""
    schema = Schema((Table("t", (ROW_ID, K, V, TRIGGER_COLUMNS["touch_always"]), ("k",), triggers=("touch_always",)),))
    assert not _findings(conn, story(schema, TWO, "S: delete from t where k = 1"))


def test_rolling_back_again_is_nothing_also_after_later_work(conn: psycopg.Connection) -> None:
    """What had been taken back already was compared with what others wrote since."""
    assert not _findings(conn, story(PLAIN, ONE, "S: update t set v = 6", late=("T: update t set v = 7",)))


def test_a_summary_stays_right_when_a_row_under_it_is_skipped(conn: psycopg.Connection) -> None:
    """The summary was put back to what it was before the session, although not all of the session's rows were."""
    assert not _findings(conn, story(SUMMED, TWO, "S: update t set v = 6", "T: delete from t where k = 1"))


def test_a_summary_row_that_a_rollback_put_right_is_put_back_by_the_next(conn: psycopg.Connection) -> None:
    """Triggers wrote it first and the rollback itself afterwards: taken for the session's own, it was counted twice."""
    assert not _findings(conn, story(SUMMED, ONE, "S: update t set v = 6"))


_ADDED = "insert into whole (k) values (2); insert into part (k, v, w) values (3, 7, 2)"


@pytest.mark.parametrize(
    ("schema", "course"),
    [
        (WHOLE_AND_PARTS, ("S: delete from part; delete from whole",)),
        (WHOLE_AND_PARTS, ("S: delete from part", "S: delete from whole")),
        (WHOLE_WITH_PARTS, ("S: delete from whole",)),
        (WHOLE_AND_PARTS, (f"S: {_ADDED}; update whole set total = 0 where k = 2",)),
    ],
    ids=("in one transaction", "in two", "by a cascade", "added and corrected"),
)
def test_parts_and_their_whole_whose_total_a_trigger_keeps(
    conn: psycopg.Connection, schema: Schema, course: tuple[str, ...]
) -> None:
    """The whole is back before its parts, and each part is added to its total once more."""
    assert not _findings(conn, story(schema, TOTALS, *course))


def test_what_others_changed_and_changed_back_before_the_session_came_again(conn: psycopg.Connection) -> None:
    """Without the session the value would be 2, as somebody wanted it; the rollback says 1."""
    course = ("S: update t set v = 2", "T: update t set v = 3", "T: update t set v = 2", "S: update t set v = 4")
    assert not _findings(conn, story(PLAIN, ONE, *course))


def test_what_others_changed_and_changed_back_before_the_session_wrote_another_column(conn: psycopg.Connection) -> None:
    """The session was the last to write the row, so nobody was looked for."""
    course = ("S: update t set v = 2", "T: update t set v = 3", "T: update t set v = 2", "S: update t set w = 4")
    assert not _findings(conn, story(WIDE, "insert into t (k, v, w) values (1, 1, 1)", *course))


def test_what_the_session_took_back_itself_before_others_came(conn: psycopg.Connection) -> None:
    """What others did between the session's first change and its last was in the way, although nothing was left of the first."""
    course = ("S: update t set v = 2", "S: update t set v = 5", "T: update t set v = 3", "S: update t set v = 4")
    assert not _findings(conn, story(PLAIN, ONE, *course))


def test_a_deleted_row_that_others_brought_back_and_deleted_again(conn: psycopg.Connection) -> None:
    """Somebody has decided since that there is no such row."""
    course = ("S: delete from t", "T: insert into t select * from t_seed", "T: delete from t")
    assert not _findings(conn, story(PLAIN, ONE, *course))


def test_what_others_did_to_a_column_before_the_session_touched_it(conn: psycopg.Connection) -> None:
    """Needless, and only after a redo: until then the row's xmin shows that nobody came after the session."""
    course = ("S: update t set v = 2", "T: update t set w = 3", "S: update t set w = 4")
    assert not _findings(conn, story(WIDE, "insert into t (k, v, w) values (1, 1, 1)", *course))


@pytest.mark.parametrize(
    "course",
    [
        ("S: delete from t where k = 1", "S: insert into t (k, v) values (1, 6)", "S: update t set k = 3 where k = 1"),
        ("S: update t set k = 3 where k = 1", "S: delete from t where k = 3; insert into t (k, v) values (3, 6)"),
    ],
    ids=("replaced and moved", "moved and replaced"),
)
def test_redo_of_a_row_that_was_replaced_and_moved(conn: psycopg.Connection, course: tuple[str, ...]) -> None:
    """The model left it out: one row to the rollback, two to the model. The state is exact either way."""
    assert not _findings(conn, story(PLAIN, TWO, *course))


def test_a_row_that_others_wrote_after_a_partial_rollback_had_taken_it_back(conn: psycopg.Connection) -> None:
    """Rolled back again with force, the session overwrote what was no longer its own."""
    course = ("S: update t set v = 6", "T: update t set v = 7 where k = 1")
    history = replace(story(PLAIN, TWO, *course, late=("T: update t set v = 8 where k = 2",)), seed=58)
    assert not [str(f) for f in check_history(conn, history, "regression_58").findings]


def test_a_row_that_others_inserted_again_as_it_was(conn: psycopg.Connection) -> None:
    """It is another one: the deleted one is left, what the session did to the other is undone."""
    back = "U: insert into t (rid, k, v) select rid, k, v from t_seed"
    assert not _findings(conn, story(PLAIN, ONE, "S: delete from t", back, "S: update t set v = 2"))
