"""A table whose shape changed after it was covered is never recorded wrongly. [4, 5]"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.journal.capture.support import changes, cover, folded, held, one, rows, status

_STALE = "JR031"


@pytest.fixture
def t(conn: psycopg.Connection) -> str:
    conn.execute("create type mood as enum ('ok')")
    conn.execute("create table t (id int primary key, a int, b int)")
    conn.execute("insert into t values (1, 100, 200)")
    cover(conn, "t")
    conn.execute("update t set a = 101 where id = 1")  # so that plans are cached
    return "t"


_DDL = [
    "alter table t add column c int",
    "alter table t drop column b",
    "alter table t drop column a, add column a int",
    "alter table t alter column a type numeric",
    "alter table t alter column a type text",
    "alter table t alter column a type mood using 'ok'",
    "alter table t add column c int default 5 not null",
    "alter table t drop column a, drop column b, add column x text default 'x', add column y timestamptz default '2026-01-02Z'",
]

_WRITES = [
    "update t set id = id",
    "insert into t (id) values (2)",
    "delete from t",
    "insert into t (id) values (3)",
    "truncate t",
]


@pytest.mark.parametrize("ddl", _DDL)
def test_strict_coverage_refuses_an_unknown_shape_and_names_the_remedy(
    conn: psycopg.Connection, t: str, ddl: str
) -> None:
    cover(conn, t, strict=True)
    conn.execute(ddl.encode())
    assert status(conn, t) == "stale"
    for write in _WRITES:
        with pytest.raises(psycopg.DatabaseError, match="shape") as refused:
            conn.execute(write.encode())
        assert refused.value.sqlstate == _STALE
        assert "cover" in (refused.value.diag.message_hint or "")
    cover(conn, t)
    assert status(conn, t) == "covered"
    for write in _WRITES:
        conn.execute(write.encode())
    assert [operation for operation, _, _ in changes(conn, t)] == [
        *("UPDATE", "UPDATE", "INSERT", "DELETE", "DELETE", "INSERT", "TRUNCATE"),
    ]


@pytest.mark.parametrize("ddl", _DDL)
def test_a_migration_is_no_outage_and_leaves_no_hole(conn: psycopg.Connection, t: str, ddl: str) -> None:
    """[6] Rows of an unknown shape are kept whole, read as any other, and typed by the next cover."""
    conn.execute("insert into t values (7, 70, 700)")
    conn.execute(ddl.encode())
    conn.execute("set timezone = 'Asia/Kathmandu'; set datestyle = 'SQL, DMY'")
    conn.execute("update t set id = id + 10 where id in (1, 7)")
    conn.execute("insert into t (id) values (2), (3)")
    conn.execute("update t set id = 4 where id = 2")
    conn.execute("delete from t where id = 3")
    assert rows(conn, "show timezone") == [{"TimeZone": "Asia/Kathmandu"}]
    before = recorded(conn)
    assert status(conn, t) == "stale"
    assert folded(conn, t, since=before[2][0]) == held(conn, t)
    cover(conn, t)
    assert status(conn, t) == "covered"
    assert recorded(conn) == before
    conn.execute("update t set id = 5 where id = 4")
    assert folded(conn, t, since=before[2][0]) == held(conn, t)


def test_rows_of_several_unknown_shapes_are_typed_side_by_side(conn: psycopg.Connection, t: str) -> None:
    conn.execute("alter table t add column c int; update t set c = 1; alter table t drop column a; update t set c = 2")
    conn.execute("alter table t alter column c type text; update t set c = 'x'")
    before = recorded(conn)
    cover(conn, t)
    assert recorded(conn) == before
    shown = rows(conn, "select after, elided_columns from journal.changes order by statement_id desc limit 3")
    assert [(r["after"], r["elided_columns"]) for r in shown] == [
        ({"id": "1", "b": "200", "c": "x"}, ["a"]),
        ({"id": "1", "b": "200", "c": "2"}, ["a"]),
        ({"id": "1", "a": "101", "b": "200", "c": "1"}, None),
    ]


def recorded(conn: psycopg.Connection) -> list[tuple[int, str, object, object, object]]:
    query = "select statement_id, operation, key, before, after from journal.changes order by statement_id, key::text"
    return [tuple(r.values()) for r in rows(conn, query)]


def test_rows_kept_whole_are_typed_alike_whatever_the_settings_of_cover(conn: psycopg.Connection) -> None:
    conn.execute("create table k (id int primary key, words text[], i interval)")
    cover(conn, "k")
    conn.execute("alter table k add column c int; insert into k values (1, '{a,NULL}', '-1 day 02:00')")
    whole = changes(conn, "k")
    conn.execute("set array_nulls = off; set intervalstyle = sql_standard")
    cover(conn, "k")
    assert changes(conn, "k") == whole
    assert one(conn, "select n2[2] is null from journal.segment_2")


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
        writer.execute("insert into t values (2, 5, 6)")
        writer.execute("commit")
    shown = rows(conn, "select after, segment from journal.changes join journal.statements using (statement_id)")
    assert shown[-1]["segment"] != shown[0]["segment"]
    assert {"2", "5", "6"} == set(shown[-1]["after"].values())
    assert status(conn, t) == "stale"


def test_a_writer_that_waited_for_the_change_sees_the_new_shape(conn: psycopg.Connection, dsn: str, t: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("begin; alter table t add column c int; select journal.cover('t'); commit")
    conn.execute("update t set c = 6 where id = 1")
    assert changes(conn, t)[-1][2] == {"id": "1", "a": "101", "b": "200", "c": "6"}


def test_strict_coverage_refuses_who_writes_after_the_change_and_nobody_before(
    conn: psycopg.Connection, dsn: str, t: str
) -> None:
    """[6] Of two writers around a migration one was first, and one waits behind it: neither leaves a wrong image or a hole."""
    cover(conn, t, strict=True)
    with (
        psycopg.connect(dsn) as early,
        psycopg.connect(dsn, autocommit=True) as migration,
        psycopg.connect(dsn, autocommit=True) as late,
        ThreadPoolExecutor() as pool,
    ):
        late.execute("update t set a = 1")
        early.execute("update t set a = 2")
        altered = pool.submit(migration.execute, "alter table t add column c int")
        wait_until_blocked(conn, migration)
        written = pool.submit(late.execute, "update t set a = 4")
        wait_until_blocked(conn, late)
        early.execute("update t set a = 3")
        early.commit()
        altered.result()
        with pytest.raises(psycopg.DatabaseError) as refused:
            written.result()
        assert refused.value.sqlstate == _STALE
        cover(conn, t)
        late.execute("update t set a = 5, c = 6")
    assert [after and after["a"] for _, _, after in changes(conn, t)] == ["101", "1", "2", "3", "5"]
    assert changes(conn, t)[-1][2] == {"id": "1", "a": "5", "b": "200", "c": "6"}


def wait_until_blocked(conn: psycopg.Connection, other: psycopg.Connection) -> None:
    """Until a connection waits for a lock that another one holds."""
    while not one(conn, "select cardinality(pg_blocking_pids(%s)) > 0", other.info.backend_pid):
        conn.execute("select pg_sleep(0.002)")


def test_a_recreated_table_is_another_table(conn: psycopg.Connection, t: str) -> None:
    conn.execute("drop table t; create table t (id int primary key, a int, b int)")
    assert status(conn, t) == "uncovered"
    conn.execute("insert into t values (1, 1, 1)")
    cover(conn, t)
    conn.execute("update t set a = 2")
    assert len(changes(conn, t)) == 1


def test_an_event_trigger_makes_the_next_segment_at_once(conn: psycopg.Connection, superuser_dsn: str, t: str) -> None:
    """[38] Only a superuser may create it. It is never in the way of the user's DDL."""
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        admin.execute("create event trigger follow on ddl_command_end execute function journal.follow_ddl()")
        admin.execute("create event trigger follow_drops on sql_drop execute function journal.follow_ddl()")
    conn.execute("create domain d as int; alter table t add column c d default 7")
    conn.execute("update t set c = 8 where id = 1")
    assert changes(conn, t)[-1] == (
        "UPDATE",
        {"id": "1", "a": "101", "b": "200", "c": "7"},
        {"id": "1", "a": "101", "b": "200", "c": "8"},
    )
    assert status(conn, t) == "covered"
    conn.execute("drop domain d cascade")
    conn.execute("insert into t values (2, 3, 4)")
    assert changes(conn, t)[-1] == ("INSERT", None, {"id": "2", "a": "3", "b": "4"})
    assert status(conn, t) == "covered"
    kinds = "select distinct kind from journal.segment s join journal.statement using (segment_id)"
    with psycopg.connect(superuser_dsn) as admin:
        assert rows(admin, kinds) == [{"kind": "typed"}]
    conn.execute("alter table t drop constraint t_pkey")
    assert status(conn, t) == "stale"
    conn.execute("insert into t values (2, 5, 6); drop table t")
