"""Cases 42 to 46: the shape of a table changed since."""

from __future__ import annotations

import pytest

from tests.journal.rollback.history import History

T = (
    "create table t (id int primary key, v text, n int)",
    "insert into t select g, 'v' || g, g from generate_series(1, 4) g",
)


@pytest.mark.parametrize("again", [False, True], ids=["as it is", "covered again"])
def test_case_42_column_added(history: History, again: bool) -> None:
    """Column added (default) → old columns RESTORED, new kept."""
    history.given(*T)
    history.agent(
        "update t set v = 'agent' where id <= 2", "delete from t where id = 3", "insert into t values (9, 'nine', 9)"
    )
    history.others("alter table t add added int not null default 7")
    if again:
        history.cover("t")
        history.others("update t set added = 8 where id = 1")
    assert history.roll_back().rows == {"restore": 2, "remove": 1, "reinsert": 1}
    assert history.rows("table t") == {
        (1, "v1", 1, 8 if again else 7),
        (2, "v2", 2, 7),
        (3, "v3", 3, 7),
        (4, "v4", 4, 7),
    }


def test_case_42_column_added_that_needs_a_value(history: History) -> None:
    """NOT NULL without default: a re-insert that needs a value → REFUSE."""
    history.given(*T)
    history.agent("update t set v = 'agent' where id <= 2", "delete from t where id = 3")
    history.others("alter table t add added int", "update t set added = 1", "alter table t alter added set not null")
    done = history.roll_back("skip")
    assert (done.outcome, done.rows["refuse"]) == ("refused", 1)
    assert (done.conflict["reason"], done.conflict["column"]) == ("constraint_added", "added")


def test_case_42_session_that_spans_the_change(history: History) -> None:
    """The session worked before and after a column was added: both shapes in one row."""
    history.given(*T)
    history.agent("update t set v = 'one' where id = 1", "update t set n = 90 where id = 2")
    history.others("alter table t add added int default 7")
    history.cover("t")
    history.agent(
        "update t set v = 'two', added = 8 where id = 1",
        "update t set added = 9 where id = 2",
        "delete from t where id = 3",
    )
    done = history.roll_back()
    assert (done.rows, done.changes) == ({"restore": 2, "reinsert": 1}, {"restore": 4, "reinsert": 1})
    assert history.rows("table t") == {(1, "v1", 1, 7), (2, "v2", 2, 7), (3, "v3", 3, 7), (4, "v4", 4, 7)}


@pytest.mark.parametrize("again", [False, True], ids=["as it is", "covered again"])
def test_case_43_column_dropped(history: History, again: bool) -> None:
    """Column dropped → REFUSE by default."""
    history.given(*T)
    history.agent("update t set v = 'agent', n = 0 where id = 1", "update t set n = 0 where id = 2")
    history.others("alter table t drop column v")
    if again:
        history.cover("t")
    done = history.roll_back("skip")
    assert (done.outcome, done.exit_code) == ("refused", 3)
    assert (done.conflict["reason"], done.conflict["column"], done.conflict["base"]) == ("column_dropped", "v", "v1")


@pytest.mark.parametrize("again", [False, True], ids=["as it is", "covered again"])
def test_case_43_the_rest_is_restored_where_that_is_asked_for(history: History, again: bool) -> None:
    """An explicit option, `force`, restores the rest and lists the lost values."""
    history.given(*T)
    history.agent(
        "update t set v = 'agent', n = 0 where id = 1",
        "delete from t where id = 2",
        "update t set v = 'agent' where id = 3",
    )
    history.others("alter table t drop column v")
    if again:
        history.cover("t")
    done = history.roll_back("force")
    assert (done.outcome, done.rows) == ("done", {"force": 3})
    assert {(c["key"]["id"], c["column"], c["reason"], c["base"], c["forced"]) for c in done.conflicts} == {
        ("1", "v", "column_dropped", "v1", True),
        ("2", "v", "column_dropped", "v2", True),
        ("3", "v", "column_dropped", "v3", True),
    }
    assert history.rows("table t") == {(1, 1), (2, 2), (3, 3), (4, 4)}


def test_case_43_a_row_that_would_lose_more_than_the_report_lists(history: History) -> None:
    """Somebody's value, or two columns: never lost in silence."""
    history.given(*T)
    history.agent("update t set v = 'agent', n = 0 where id = 1", "update t set v = 'agent', n = 0 where id = 2")
    history.others("alter table t drop column v", "update t set n = 7 where id = 1")
    assert history.roll_back("force").rows == {"force": 1, "conflict": 1}
    history.others("alter table t drop column n")
    done = history.roll_back("force")
    assert (done.outcome, done.committed, history.rows("table t")) == ("refused", False, {(1,), (2,), (3,), (4,)})


def test_case_43_untouched_column_dropped(history: History) -> None:
    """A dropped column that the session did not change is no obstacle."""
    history.given(*T)
    history.agent("update t set n = 0 where id = 2")
    history.others("alter table t drop column v")
    assert history.roll_back().rows == {"restore": 1}
    assert (2, 2) in history.rows("table t")


def test_case_43_deleted_row_with_a_dropped_column(history: History) -> None:
    """A deleted row whose lost column held a value cannot come back whole → REFUSE; one that held none can."""
    history.given(*T, "insert into t values (5, null, 5)")
    history.agent("delete from t where id in (4, 5)")
    history.others("alter table t drop column v")
    done = history.roll_back("skip")
    assert (done.outcome, done.rows) == ("refused", {"reinsert": 1, "refuse": 1})


@pytest.mark.parametrize("again", [False, True], ids=["as it is", "covered again"])
def test_case_44_column_renamed(history: History, again: bool) -> None:
    """Column renamed → RESTORED into the renamed column."""
    history.given(*T)
    history.agent("update t set v = 'agent' where id = 1", "delete from t where id = 2")
    history.others("alter table t rename v to w")
    if again:
        history.cover("t")
    assert history.roll_back().rows == {"restore": 1, "reinsert": 1}
    assert history.rows("select id, w from t") == {(1, "v1"), (2, "v2"), (3, "v3"), (4, "v4")}


def test_case_44_columns_swapped_names(history: History) -> None:
    """Two columns that swapped names keep their values apart."""
    history.given("create table t (id int primary key, a text, b text)", "insert into t values (1, 'a', 'b')")
    history.agent("update t set a = 'agent'")
    history.others("alter table t rename a to c", "alter table t rename b to a", "alter table t rename c to b")
    assert history.roll_back().rows == {"restore": 1}
    assert history.rows("select a, b from t") == {("b", "a")}


def test_case_44_dropped_and_added_again(history: History) -> None:
    """Dropped and re-added under the same name → treated as dropped."""
    history.given(*T)
    history.agent("update t set v = 'agent' where id = 1")
    history.others("alter table t drop column v", "alter table t add v text")
    done = history.roll_back("skip")
    assert (done.outcome, done.conflict["reason"]) == ("refused", "column_dropped")


@pytest.mark.parametrize("kind", ["text", "bigint", "smallint", "float8"])
def test_case_45_type_changed(history: History, kind: str) -> None:
    """Type changed → CONFLICT, never silent rounding."""
    history.given(
        "create table t (id int primary key, n numeric, v text)", "insert into t values (1, 1.255, 'a'), (2, 2.5, 'b')"
    )
    history.agent("update t set n = 9 where id = 1", "update t set v = 'agent' where id = 2")
    history.others(f"alter table t alter n type {kind} using n::{kind}")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 1}
    assert (done.conflict["reason"], done.conflict["column"], done.conflict["base"]) == ("retyped", "n", "1.255")
    assert history.rows("select id, v from t") == {(1, "a"), (2, "b")}


def test_case_45_session_that_spans_the_change(history: History) -> None:
    """The session wrote the column before and after its type changed → CONFLICT; other columns and rows are restored."""
    history.given(
        "create table t (id int primary key, n int, v text)",
        "insert into t values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')",
    )
    history.agent("update t set n = 9, v = 'x' where id = 1", "update t set v = 'x' where id = 3")
    history.others("alter table t alter n type text")
    history.cover("t")
    history.agent(
        "update t set n = 'ten' where id = 1", "update t set v = 'y' where id = 2", "update t set v = 'z' where id = 3"
    )
    done = history.roll_back("skip")
    assert done.rows == {"restore": 2, "conflict": 1}
    assert (done.conflict["reason"], done.conflict["column"], done.conflict["base"]) == ("retyped", "n", "1")
    assert history.rows("table t") == {(1, "ten", "x"), (2, "2", "b"), (3, "3", "c")}


@pytest.mark.parametrize("spanning", [False, True])
def test_case_45_key_became_bigint(history: History, spanning: bool) -> None:
    """A key that grew to bigint finds its rows all the same."""
    history.given("create table t (id int primary key, v text)", "insert into t values (1, 'a'), (2, 'b'), (3, 'c')")
    history.agent("update t set v = 'x' where id = 1", "insert into t values (4, 'new')")
    history.others("alter table t alter id type bigint")
    if spanning:
        history.cover("t")
        history.agent("update t set v = 'y' where id in (1, 2)")
    assert history.roll_back().rows == {"restore": 2 if spanning else 1, "remove": 1}
    history.expect_start()


def test_case_45_shape_that_cover_has_not_seen(history: History) -> None:
    """Rows written in a shape that cover has not seen → REFUSED until it has."""
    history.given("create table t (id int primary key, n int)", "insert into t values (1, 1), (2, 2)")
    history.agent("update t set n = 9 where id = 1")
    history.others("alter table t add x int")
    history.agent("update t set n = 9 where id = 2")
    done = history.roll_back("skip")
    assert (done.outcome, done.reasons) == ("refused", {"coverage_gap"})
    history.cover("t")
    assert history.roll_back().rows == {"restore": 2}
    assert history.rows("select id, n from t") == {(1, 1), (2, 2)}


@pytest.mark.parametrize(
    ("before", "old", "after", "now"),
    [
        ("varchar(20)", "a long old value", "varchar(5)", "9"),
        ("numeric(10,3)", "1.255", "numeric(10,1)", "9.0"),
        ("numeric(10,1)", "1.2", "numeric(10,3)", "9.000"),
    ],
)
def test_case_45_other_length_or_scale(history: History, before: str, old: str, after: str, now: str) -> None:
    """The old value does not fit, or would be written differently → CONFLICT: never cut, never rounded."""
    history.given(f"create table t (id int primary key, v {before})", f"insert into t values (1, '{old}')")
    history.agent("update t set v = 9")
    history.others(f"alter table t alter v type {after}")
    done = history.roll_back("skip", predicted=False)
    assert (done.outcome, done.rows, done.conflict["base"]) == ("partly", {"conflict": 1}, old)
    assert history.rows("select v::text from t") == {(now,)}


def test_case_45_table_rewritten_since(history: History) -> None:
    """A change that rewrites the table is nobody's work on its rows; what others wrote before and after it still is."""
    history.given(
        "create table t (id int primary key, v int, w numeric(10, 2))",
        "insert into t select i, i, i from generate_series(1, 3) i",
    )
    history.agent("update t set v = 9")
    history.others(
        "update t set v = case v when 9 then 8 end where id = 2",
        "update t set v = 9 where id = 2",
        "alter table t alter w type numeric(12, 3)",
        "update t set w = 0 where id = 3",
    )
    done = history.roll_back("skip")
    assert (done.rows, done.keys) == ({"restore": 2, "conflict": 1}, {"id=2"})
    assert done.conflict["reason"] == "changed_and_back"


def test_case_46_table_renamed_and_moved(history: History) -> None:
    """Table renamed or moved to another schema → follows."""
    history.given(*T)
    history.agent("update t set v = 'agent' where id = 1", "delete from t where id = 2")
    history.others("create schema archive", "alter table t rename to old_t", "alter table old_t set schema archive")
    done = history.roll_back()
    assert done.rows == {"restore": 1, "reinsert": 1}
    assert [t["table"] for t in done.raw["tables"]] == ["archive.old_t"]
    assert history.rows("select id, v from archive.old_t") == {(1, "v1"), (2, "v2"), (3, "v3"), (4, "v4")}


@pytest.mark.parametrize("again", [False, True], ids=["dropped", "recreated"])
def test_case_46_table_dropped(history: History, again: bool) -> None:
    """Dropped and recreated under the same name → REFUSE; dropped → REFUSE."""
    history.given(*T)
    history.agent("update t set v = 'agent' where id = 1")
    history.others("drop table t", *(T if again else ()))
    if again:
        history.cover("t")
    done = history.roll_back("skip")
    assert (done.outcome, done.exit_code, done.rows) == ("refused", 3, {"refuse": 1})
    assert done.reasons == {"table_recreated"}
    assert history.report("plan", on_conflict="force").exit_code == 3


@pytest.mark.parametrize("twice", [False, True])
def test_case_46_key_of_the_table_changed(history: History, twice: bool) -> None:
    """The primary key is on another column now, and several rows may have what was the key → REFUSE."""
    history.given(
        "create table t (id int primary key, v text, code int not null)",
        "insert into t values (1, 'a', 10), (2, 'b', 20)",
    )
    history.agent("update t set v = 'agent' where id = 1")
    history.others("alter table t drop constraint t_pkey", "alter table t add primary key (code)")
    if twice:
        history.others("insert into t values (1, 'agent', 30)")
    done = history.roll_back("skip")
    assert (done.outcome, done.rows, done.reasons) == ("refused", {"refuse": 1}, {"table_recreated"})
    assert "can no longer be told apart" in done.conflict["theirs"]
    history.others("delete from t where code = 30", "alter table t add unique (id)")
    assert history.roll_back("skip").rows == {"restore": 1}
    assert history.rows("table t") == {(1, "a", 10), (2, "b", 20)}
