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
