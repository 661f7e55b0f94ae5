"""Cases 3 and 4: keys that changed, changed places, or are used again. S is the session that is rolled back, T is anyone else."""

from __future__ import annotations

import pytest

from tests.journal.rollback.history import History

KEYS = [("int", "{}"), ("text", "k{}"), ("uuid", "00000000-0000-0000-0000-00000000000{}")]


@pytest.mark.parametrize(("kind", "value"), KEYS)
@pytest.mark.parametrize("children", [False, True])
def test_case_03_keys_in_a_circle(history: History, kind: str, value: str, children: bool) -> None:
    """Primary keys that changed places, with children that follow."""
    k = [value.format(n) for n in range(10)]
    history.given(
        f"create table t (id {kind} primary key, v int)",
        f"create table child (id int primary key, t {kind} references t on update cascade)",
        f"insert into t values ('{k[1]}', 1), ('{k[2]}', 2), ('{k[3]}', 3), ('{k[4]}', 4)",
        *([f"insert into child values (1, '{k[1]}'), (2, '{k[2]}'), (4, '{k[4]}')"] if children else []),
    )
    moves = [(k[1], k[9]), (k[2], k[1]), (k[3], k[2]), (k[9], k[3])]
    history.agent(*(f"update t set id = '{new}' where id = '{old}'" for old, new in moves))
    done = history.roll_back()
    assert done.outcome == "done"
    history.expect_start()
    redone = history.redo(done)
    assert redone.outcome == "done"
    assert history.rows("select id::text, v from t") == {(k[3], 1), (k[1], 2), (k[2], 3), (k[4], 4)}


def test_case_03_composite_keys_in_a_circle(history: History) -> None:
    """Keys of two columns, one of which was swapped; and a shift by one."""
    history.given(
        "create table line (o int, n int, v text, primary key (o, n))",
        "insert into line select g % 3, g, 'v' || g from generate_series(1, 12) g",
    )
    history.agent("update line set n = -n", "update line set n = 13 + n")
    assert history.roll_back().rows == {"restore": 12}
    history.expect_start()


def test_case_03_changed_key_takes_its_children_back(history: History) -> None:
    """S runs `update t set id = 70 where id = 7`, then edits id 70 → one row, id 7, original content; T's children that
    followed the key follow it back."""
    history.given(
        "create table t (id int primary key, note text)",
        "create table child (id int primary key, t int references t on update cascade on delete cascade)",
        "insert into t values (7, 'seven'), (8, 'eight')",
        "insert into child values (1, 7), (3, 8)",
    )
    history.agent("update t set id = 70 where id = 7")
    history.agent("update t set note = 'edited' where id = 70")
    history.others("insert into child values (2, 70)")
    done = history.roll_back(followers=["child"])
    assert done.outcome == "done"
    assert done.table("public.t")["rows"] == {"total": 1, "restore": 1}
    assert history.rows("table t") == {(7, "seven"), (8, "eight")}
    assert history.rows("table child") == {(1, 7), (2, 7), (3, 8)}


@pytest.mark.parametrize("content", ["reused", "seven"])
def test_case_04_reused_key(history: History, content: str) -> None:
    """S deletes id 7; T inserts a new id 7 → CONFLICT (key reuse), never overwrite. Where T's row is the old one again, there
    is nothing to do."""
    history.given("create table t (id int primary key, note text)", "insert into t values (7, 'seven'), (8, 'eight')")
    history.agent("delete from t where id in (7, 8)")
    history.others(f"insert into t values (7, '{content}')")
    done = history.roll_back("skip")
    if content == "seven":  # the row is as it was before the session: nothing to do
        assert done.rows == {"reinsert": 1, "noop": 1}
    else:
        assert done.rows == {"reinsert": 1, "conflict": 1}
        assert (done.conflict["reason"], done.conflict["key"]) == ("key_reused", {"id": "7"})
        assert done.conflict["their"]["application_name"] == "shop-web"
    assert history.rows("table t") == {(7, content), (8, "eight")}


def test_case_04_reused_key_is_refused_by_default(history: History) -> None:
    """The same: nothing is applied by default."""
    history.given("create table t (id int primary key, note text)", "insert into t values (7, 'seven'), (8, 'eight')")
    history.agent("delete from t where id in (7, 8)")
    history.others("insert into t values (7, 'reused')")
    done = history.roll_back()
    assert (done.outcome, done.exit_code) == ("refused", 3)
    assert history.rows("table t") == {(7, "reused")}


@pytest.mark.parametrize(
    ("table", "key", "type_"), [("t", "color", "hue"), ("t", '"a%b"', "int"), ('"p%s"', '"%1$s"', "int")]
)
def test_keys_whose_names_or_types_look_like_patterns(history: History, table: str, key: str, type_: str) -> None:
    """A changed key of an enum, or with % in a name, goes back like any other."""
    history.given(
        "create type hue as enum ('1', '2')",
        f"create table {table} ({key} {type_} primary key, v int)",
        f"insert into {table} values ('1', 1)",
    )
    history.agent(f"update {table} set {key} = '2'")
    assert history.roll_back().rows == {"restore": 1}
    history.expect_start()


def test_case_03_a_key_that_another_row_of_the_session_has_now(history: History) -> None:
    """Its children followed, and would have pointed at nothing between the removal of that row and the return of the key."""
    history.given(
        "create table p (id int primary key)",
        "create table c (id int primary key, p int references p on delete restrict on update cascade)",
        "insert into p values (5)",
        "insert into c values (1, 5)",
    )
    history.agent("update p set id = 4", "insert into p values (5)")
    assert history.roll_back().rows == {"restore": 2, "remove": 1}
    history.expect_start()


def test_a_key_beside_a_number_that_is_always_generated_goes_back(history: History) -> None:
    """All columns of the key were written, also the one that takes no value: the rollback ended in the server's error."""
    history.given(
        "create table t (id int generated always as identity, k int, v int, primary key (id, k))",
        "insert into t (k, v) values (1, 1), (2, 2)",
    )
    history.agent("update t set k = k + 5")
    assert history.roll_back().rows == {"restore": 2}
    history.expect_start()


def test_keys_that_swap_beside_a_number_that_is_always_generated(history: History) -> None:
    history.given(
        "create table t (id int generated always as identity, k int, primary key (k), unique (id, k))",
        "insert into t (k) values (1), (2)",
    )
    history.agent("update t set k = 9 where k = 1", "update t set k = 1 where k = 2", "update t set k = 2 where k = 9")
    assert history.roll_back().rows == {"restore": 2}
    history.expect_start()
