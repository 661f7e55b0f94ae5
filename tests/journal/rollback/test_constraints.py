"""Case 14: constraints that the old row violates now, and those that are not enforced."""

from __future__ import annotations

import pytest

from tests.journal.rollback.history import History


def test_case_14_check_added_since(history: History) -> None:
    """CHECK added since, the old image violates it → CONFLICT naming the constraint."""
    history.given("create table t (id int primary key, price int)", "insert into t values (1, 3), (2, 10), (3, 2)")
    history.agent("update t set price = price + 20 where id < 3", "delete from t where id = 3")
    history.others("alter table t add constraint dear check (price > 5)")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 2}
    assert done.reasons == {"constraint_added"}
    assert {c["constraint"] for c in done.conflicts} == {"dear"}
    assert done.keys == {"id=1", "id=3"}


def test_case_14_not_null_added_since(history: History) -> None:
    """NOT NULL added since, the old image violates it → CONFLICT naming the column, and the constraint where it has a name."""
    history.given("create table t (id int primary key, note text)", "insert into t values (1, null), (2, 'x')")
    history.agent("update t set note = 'set by the agent'")
    history.others("alter table t alter note set not null")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 1}
    assert (done.conflict["reason"], done.conflict["column"]) == ("constraint_added", "note")
    if history.operator.info.server_version >= 180000:
        assert done.conflict["constraint"] == "t_note_not_null"


def test_case_14_unique_added_since(history: History) -> None:
    """UNIQUE added since, the old image violates it → CONFLICT naming the constraint."""
    history.given("create table t (id int primary key, code int)", "insert into t values (1, 5), (2, 5), (3, 6)")
    history.agent("update t set code = code + 10 where id in (1, 3)")
    history.others("alter table t add constraint one_code unique (code)")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 1}
    assert (done.conflict["reason"], done.conflict["constraint"], done.keys) == ("unique_taken", "one_code", {"id=1"})


def test_case_14_constraint_that_is_not_valid_yet(history: History) -> None:
    """CHECK and NOT NULL added NOT VALID: they hold every row that is written, also one that violates them in another column."""
    modern = history.operator.info.server_version >= 180000
    history.given(
        "create table t (id int primary key, price int, note text, n int)",
        "insert into t values (1, -1, 'a'), (2, 5, 'a'), (3, -3, 'a'), (4, 4, null)",
    )
    history.agent("update t set price = 7 where id < 3", "update t set n = 1 where id > 2")
    history.others("alter table t add constraint dear check (price > 0) not valid")
    if modern:
        history.others("alter table t add constraint noted not null note not valid")
    done = history.roll_back("skip")
    assert done.reasons == {"constraint_added"}
    assert {c["constraint"] for c in done.conflicts} == ({"dear", "noted"} if modern else {"dear"})
    assert done.keys == ({"id=1", "id=3", "id=4"} if modern else {"id=1", "id=3"})
    assert (2, 5, "a", None) in history.rows("table t")


def test_case_14_check_added_since_on_other_columns(history: History) -> None:
    """CHECK added since, on a column that is generated from the restored one, and on one that is itself new."""
    history.given(
        "create table t (id int primary key, price int, twice int generated always as (price * 2) stored)",
        "insert into t values (1, 1), (2, 9), (3, 10), (4, 10)",
    )
    history.agent("update t set price = 7 where id < 4", "delete from t where id = 4")
    history.others(
        "alter table t add constraint dear check (twice > 5)",
        "alter table t add most int default 20",
        "update t set most = 8 where id = 2",
        "alter table t add constraint cheap check (price <= most)",
    )
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "reinsert": 1, "conflict": 2}
    assert {done.conflict_of(key)["constraint"] for key in "12"} == {"dear", "cheap"}


def test_constraints_that_are_not_enforced(history: History) -> None:
    """What the server does not hold is no reason to leave a row, neither one that comes back nor one that goes."""
    if history.operator.info.server_version < 180000:
        pytest.skip("constraints are always enforced before PostgreSQL 18")
    history.given(
        "create table p (id int primary key)",
        "create table c (id int primary key, p_id int references p not enforced, v int check (v > 0) not enforced)",
        "insert into c values (1, 99, -1)",
    )
    history.agent("delete from c", "insert into p values (5)")
    history.others("insert into c values (2, 5, 1)")
    assert history.roll_back().rows == {"remove": 1, "reinsert": 1}
    assert history.rows("table c") == {(1, 99, -1), (2, 5, 1)}
