"""Which row is the session's: others move rows, and put other rows in their place."""

from __future__ import annotations

import pytest

from tests.journal.rollback.history import History

ROWS = ("create table t (id int primary key deferrable, v int)", "insert into t values (1, 10), (2, 20)")


@pytest.mark.parametrize(
    ("moves", "left"),
    [
        (("update t set id = 3 where id = 1", "update t set id = 1 where id = 2"), {(3, 10), (1, 20)}),
        (("update t set id = 3 - id",), {(2, 10), (1, 20)}),
        (("update t set id = 3 - id", "update t set id = 4 where id = 2", "update t set id = 2 where id = 1"), None),
    ],
    ids=("one after the other", "at once", "and further"),
)
def test_a_row_in_whose_place_others_put_another(
    history: History, moves: tuple[str, ...], left: set[tuple[int, int]] | None
) -> None:
    """S writes both rows, T moves one away and the other into its place → each is found where T put it."""
    history.given(*ROWS)
    history.agent("update t set v = 9")
    history.others(*moves)
    assert history.roll_back(followers=["t"]).rows == {"restore": 2}
    assert history.rows("table t") == (left or {(4, 10), (2, 20)})


def test_another_row_in_the_place_of_one_is_not_forced(history: History) -> None:
    """S writes row 1, T moves it away and a row that S never saw into its place → only the first is S's."""
    history.given(*ROWS)
    history.agent("update t set v = 9 where id = 1")
    history.others("update t set id = 3 where id = 1", "update t set id = 1 where id = 2")
    assert history.roll_back("force", followers=["t"]).rows == {"restore": 1}
    assert history.rows("table t") == {(3, 10), (1, 20)}


def test_another_row_in_the_place_of_an_inserted_one_is_not_removed(history: History) -> None:
    history.given(*ROWS)
    history.agent("insert into t values (9, 90)")
    history.others("update t set id = 8 where id = 9", "update t set id = 9 where id = 2")
    refused = history.roll_back("force")
    assert (refused.outcome, refused.rows) == ("refused", {"conflict": 1})


def test_a_step_taken_back_after_a_later_one_moved_the_rows(history: History) -> None:
    """A step that stays is somebody else's work, though the session is the same."""
    history.given(*ROWS)
    step = history.step("write", "update t set v = 9")
    history.step("swap", "update t set id = 3 - id")
    assert history.roll_back(step_ids=[step], followers=["t"]).rows == {"restore": 2}
    assert history.rows("table t") == {(2, 10), (1, 20)}


@pytest.mark.parametrize(
    "putting", ["update t set id = 1 where id = 2", "insert into t values (1, 20)"], ids=["moved", "inserted"]
)
@pytest.mark.parametrize("mode", ["refuse", "force"])
def test_two_rows_at_one_key_are_not_taken_for_one(history: History, putting: str, mode: str) -> None:
    """S writes at key 1, T puts another row there, S writes it: 10→20 and 20→10 are two rows. Each gets its own value back."""
    history.given(*ROWS)
    history.agent("update t set v = 20 where id = 1")
    history.others("update t set id = 3 where id = 1", putting)
    history.agent("update t set v = 10 where id = 1")
    done = history.roll_back(mode, followers=["t"])
    assert (done.outcome, done.rows) == ("done", {"restore": 2})
    assert history.rows("select id, v from t where id in (1, 3)") == {(3, 10), (1, 20)}


def test_a_row_deleted_under_the_session_and_another_at_its_key(history: History) -> None:
    """What S did to the row that T deleted is a conflict; what it did to the one that T put there is undone."""
    history.given(*ROWS)
    history.agent("update t set v = 20 where id = 1")
    history.others("delete from t where id = 1", "insert into t values (1, 30)")
    history.agent("update t set v = 40 where id = 1")
    done = history.roll_back("skip", followers=["t"])
    assert (done.rows, done.reasons) == ({"restore": 1, "conflict": 1}, {"key_reused"})
    assert history.rows("select id, v from t where id = 1") == {(1, 30)}


@pytest.mark.parametrize("mode", ["refuse", "force"])
def test_a_row_that_others_moved_away_and_back_is_left_whole(history: History, mode: str) -> None:
    """S came again and cannot know it: what is between is not known, and force has no one value to put back either."""
    history.given(*ROWS)
    history.agent("update t set v = 20 where id = 1")
    history.others("update t set id = 3 where id = 1", "update t set id = 1 where id = 3")
    history.agent("update t set v = 40 where id = 1")
    refused = history.roll_back(mode)
    assert (refused.outcome, refused.rows, refused.reasons) == ("refused", {"conflict": 2}, {"changed_since"})


@pytest.mark.parametrize(
    ("ours", "key", "value"), [("update t set v = 9 where id = 1", 1, 9), ("insert into t values (3, 9)", 3, 7)]
)
def test_a_row_that_others_deleted_and_inserted_again_is_theirs(
    history: History, ours: str, key: int, value: int
) -> None:
    """Force overwrites what others changed in a row of the session's; this one they made themselves."""
    history.given(*ROWS)
    history.agent(ours)
    history.others(f"delete from t where id = {key}", f"insert into t values ({key}, {value})")
    refused = history.roll_back("force")
    assert (refused.outcome, refused.reasons) == ("refused", {"key_reused"})


def test_a_session_together_with_the_rollback_of_a_step_of_it(history: History) -> None:
    """The step was put back in effect by taking back its rollback, and not undone with its session."""
    history.given(*ROWS)
    step = history.step("write", "update t set v = 9 where id = 1")
    history.step("another", "update t set v = 8 where id = 2")
    done = history.roll_back(step_ids=[step])
    assert history.session is not None
    assert history.roll_back("refuse", history.session, done.rollback_id).rows == {"restore": 1, "noop": 1}
    history.expect_start()


def test_a_row_that_both_gave_another_key_is_left_whole(history: History) -> None:
    """S moves it, T moves it on, S writes it there → one row, of which nothing is undone."""
    history.given(*ROWS)
    history.agent("update t set id = 3 where id = 1")
    history.others("update t set id = 4 where id = 3")
    history.agent("update t set v = 9 where id = 4")
    done = history.roll_back("skip")
    assert (done.rows, done.reasons) == ({"conflict": 2}, {"changed_since"})
    assert history.rows("table t") == {(4, 9), (2, 20)}


@pytest.mark.parametrize("course", [(), ("update t set v = 0",), ("update t set v = 0", "delete from t where id = 3")])
def test_rows_that_hand_their_deferrable_keys_on(history: History, course: tuple[str, ...]) -> None:
    """One statement shifts every key by one: it was taken for one row with a long way, and undone as that."""
    history.given(
        "create table t (id int primary key deferrable, v int)",
        "insert into t select n, n from generate_series(1, 4) n",
    )
    history.agent("update t set id = id + 1")
    history.agent(*course, "insert into t values (1, 100)")
    after = history.snapshot()
    done = history.roll_back()
    assert done.rows["remove"] == 1
    history.expect_start()
    history.redo(done)
    assert history.snapshot() == after


def test_a_deferrable_key_that_two_foreign_keys_change_in_one_statement(history: History) -> None:
    """Both cascades take the row along: its changes follow each other inside one statement."""
    history.given(
        "create table p (id int primary key)",
        """create table t (a int references p on update cascade, b int references p on update cascade, v int,
                            primary key (a, b) deferrable)""",
        "insert into p values (1), (2)",
        "insert into t values (1, 1, 5), (1, 2, 6), (2, 2, 7)",
    )
    history.agent("update p set id = 9 where id = 1", "update t set v = v + 1")
    assert history.roll_back().outcome == "done"
    history.expect_start()


def test_a_row_that_others_put_in_the_place_of_a_deleted_one_is_another(history: History) -> None:
    """S deletes a row, somebody inserts one under its key, S gives that another key: one identity was made of the two,
    and skip left both for one conflict that named neither."""
    history.given("create table t (k numeric primary key, v text)", "insert into t values (2.50, 'mine')")
    history.agent("delete from t")
    history.others("insert into t values (2.50, 'theirs')")
    history.agent("update t set k = 4.0")
    done = history.roll_back("skip", followers=["t"])
    assert (done.rows, done.conflict["key"], done.conflict["reason"]) == (
        {"restore": 1, "conflict": 1},
        {"k": "2.50"},
        "key_reused",
    )
    assert done.conflict["their"]["application_name"] == "shop-web"
    assert history.rows("select k::text, v from t") == {("2.50", "theirs")}


IN_EACH_OTHERS_WAY = [
    ("create table t (id int primary key, v text unique)", "t_v_key"),
    (
        "create table t (id int primary key, v text); create unique index t_lower on t (lower(v)) where id > 0",
        "t_lower",
    ),
    (
        "create table t (id int primary key, v text, w text generated always as (upper(v)) stored unique)",
        "t_w_key",
    ),
    ("create table t (id int primary key, v text); create unique index t_v on t (v text_pattern_ops)", "t_v"),
    ("create table t (id int primary key, v text, exclude using btree (v with =))", "t_v_excl"),
]


@pytest.mark.parametrize(
    ("schema", "constraint"), IN_EACH_OTHERS_WAY, ids=["plain", "expression", "generated", "pattern", "exclusion"]
)
def test_a_value_that_the_session_took_from_several_rows_is_the_last_ones(
    history: History, schema: str, constraint: str
) -> None:
    """Each of the rows had it before S came, one after the other: it was found only on trying, and all was refused."""
    history.given(schema, "insert into t (id, v) values (1, 'e')")
    history.agent("delete from t")
    history.others("insert into t (id, v) values (3, 'e')")
    history.agent("update t set v = 'f' where id = 3")
    history.others("insert into t (id, v) values (4, 'e')")
    history.agent("update t set v = 'g' where id = 4")
    done = history.roll_back("skip")
    assert (done.rows, done.keys) == ({"restore": 1, "conflict": 2}, {"id=1", "id=3"})
    assert {(c["reason"], c["constraint"], c["theirs"]) for c in done.conflicts} == {
        ("exclusion_taken" if constraint == "t_v_excl" else "unique_taken", constraint, "(id=4)")
    }
    assert history.rows("select id, v from t") == {(3, "f"), (4, "e")}


def test_what_triggers_do_to_a_row_under_a_deferrable_key_is_the_same_row(history: History) -> None:
    """A trigger's statement is recorded before the one that set it off: the row was taken for two."""
    history.given(
        "create table t (id int primary key deferrable, v int)",
        "create function f() returns trigger language plpgsql as $$ "
        "begin update t set v = v + 1 where id = new.id; return null; end $$",
        "create trigger f after insert on t for each row execute function f()",
        "insert into t values (5, 50)",
    )
    history.agent("insert into t values (1, 1)", "update t set id = 6 where id = 5")
    assert history.roll_back().rows == {"restore": 1, "remove": 1}
    history.expect_start()


@pytest.mark.parametrize(
    "last", ["delete from t where id = {}", "update t set v = 50 where id = {}"], ids=["deletes", "updates"]
)
@pytest.mark.parametrize("further", [(), ("update t set id = 7 where id = 3",)], ids=["once", "further"])
def test_a_row_that_others_changed_and_moved_before_the_session_came_again(
    history: History, last: str, further: tuple[str, ...]
) -> None:
    """S changes v, T changes v and moves the row, S meets it there: it stays whole. It was put back, although reported as left."""
    history.given(*ROWS)
    history.agent("update t set v = 20 where id = 1")
    history.others("update t set v = 30 where id = 1", "update t set id = 3 where id = 1", *further)
    history.agent(last.format(7 if further else 3))
    before = history.rows("select id, v from t")
    done = history.roll_back("skip")
    assert (done.rows, done.conflicts[0]["reason"]) == ({"conflict": 2}, "changed_and_back")
    assert history.rows("select id, v from t") == before
