"""A table whose shape changed after it was covered is never recorded wrongly. [4, 5]"""

from __future__ import annotations

import psycopg
import pytest

from tests.journal.capture.support import changes, cover, status

_STALE = "JR031"


@pytest.fixture
def t(conn: psycopg.Connection) -> str:
    conn.execute("create table t (id int primary key, a int, b int)")
    conn.execute("insert into t values (1, 100, 200)")
    cover(conn, "t")
    conn.execute("update t set a = 101 where id = 1")  # so that plans are cached
    return "t"


@pytest.mark.parametrize(
    "ddl",
    [
        "alter table t add column c int",
        "alter table t drop column b",
        "alter table t drop column a, add column a int",
        "alter table t alter column a type numeric",
        "alter table t alter column a type text",
        "alter table t add column c int default 5 not null",
    ],
)
@pytest.mark.parametrize("write", ["update t set id = id", "insert into t (id) values (2)", "delete from t"])
def test_an_unknown_shape_is_refused_and_names_the_remedy(
    conn: psycopg.Connection, t: str, ddl: str, write: str
) -> None:
    conn.execute(ddl.encode())
    assert status(conn, t) == "stale"
    with pytest.raises(psycopg.DatabaseError, match="shape") as refused:
        conn.execute(write.encode())
    assert refused.value.sqlstate == _STALE
    assert "cover" in (refused.value.diag.message_hint or "")
    cover(conn, t)
    assert status(conn, t) == "covered"
    conn.execute(write.encode())
    assert len(changes(conn, t)) == 2


def test_renamed_and_swapped_columns_keep_their_values(conn: psycopg.Connection, t: str) -> None:
    conn.execute("begin; alter table t rename a to x; alter table t rename b to a; alter table t rename x to b; commit")
    conn.execute("update t set a = 201 where id = 1")
    assert changes(conn, t)[-1] == ("UPDATE", {"id": "1", "a": "101", "b": "200"}, {"id": "1", "a": "101", "b": "201"})
    cover(conn, t)
    conn.execute("update t set a = 202 where id = 1")
    assert changes(conn, t)[-1] == ("UPDATE", {"id": "1", "b": "101", "a": "201"}, {"id": "1", "b": "101", "a": "202"})


@pytest.mark.parametrize("ddl", ["alter table t drop column a, add column a int", "alter table t alter a type bigint"])
def test_an_old_snapshot_does_not_fool_the_check(conn: psycopg.Connection, dsn: str, t: str, ddl: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as writer:
        writer.execute("update t set a = 102 where id = 1")
        writer.execute("begin isolation level repeatable read")
        writer.execute("select count(*) from pg_class")
        conn.execute(ddl.encode())
        with pytest.raises(psycopg.DatabaseError) as refused:
            writer.execute("insert into t values (2, 5, 6)")
    assert refused.value.sqlstate == _STALE
    assert t


def test_a_writer_that_waited_for_the_change_sees_the_new_shape(conn: psycopg.Connection, dsn: str, t: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("begin; alter table t add column c int; select journal.cover('t'); commit")
    conn.execute("update t set c = 6 where id = 1")
    assert changes(conn, t)[-1][2] == {"id": "1", "a": "101", "b": "200", "c": "6"}


def test_a_recreated_table_is_another_table(conn: psycopg.Connection, t: str) -> None:
    conn.execute("drop table t; create table t (id int primary key, a int, b int)")
    assert status(conn, t) == "uncovered"
    conn.execute("insert into t values (1, 1, 1)")
    cover(conn, t)
    conn.execute("update t set a = 2")
    assert len(changes(conn, t)) == 1
