"""Large values that an update left alone are not stored again. [17, 18]"""

from __future__ import annotations

import psycopg
import pytest

from tests.journal.capture.support import cover, one, rows

_BIG = "(select string_agg(md5(g::text), '') from generate_series(1, 4000) as g)"


@pytest.mark.parametrize(
    ("column_type", "value", "other"),
    [
        ("text", _BIG, f"{_BIG} || 'x'"),
        ("varchar", _BIG, "'small'"),
        ("bytea", f"convert_to({_BIG}, 'UTF8')", f"convert_to({_BIG} || 'x', 'UTF8')"),
        ("jsonb", f"to_jsonb({_BIG} || '1.50')", f"to_jsonb({_BIG} || '1.5')"),
        ("bpchar", _BIG, f"rpad({_BIG}, 130000)::bpchar"),
        ("text[]", f"array[{_BIG}, null]", f"array[{_BIG}, 'x']"),
        ("long", _BIG, "'small'"),
        ("pair", f"row(1, {_BIG})::pair", f"row(2, {_BIG})::pair"),
    ],
)
def test_unchanged_large_values_are_on_neither_side(
    conn: psycopg.Connection, column_type: str, value: str, other: str
) -> None:
    conn.execute("create domain long as text; create type pair as (a int, b text)")
    conn.execute(f"create table t (id int primary key, note text, big {column_type}, gone text)".encode())
    conn.execute("alter table t alter big set storage external, drop gone")
    conn.execute(f"insert into t values (1, 'a', {value})".encode())
    cover(conn, "t")
    size = "select pg_total_relation_size('journal.segment_1')"
    before = one(conn, size)
    conn.execute("update t set note = 'b'")
    assert one(conn, size) - before < 32768  # a page of images and one of the index; the value has 128 kB
    assert rows(conn, "select before, after, changed_columns, elided_columns from journal.changes") == [
        {
            "before": {"id": "1", "note": "a"},
            "after": {"id": "1", "note": "b"},
            "changed_columns": ["note"],
            "elided_columns": ["big"],
        }
    ]
    conn.execute(f"update t set big = {other}".encode())
    conn.execute("update t set big = null")
    conn.execute("delete from t")
    shown = rows(conn, "select changed_columns, elided_columns from journal.changes order by statement_id offset 1")
    assert shown == [
        {"changed_columns": ["big"], "elided_columns": None},
        {"changed_columns": ["big"], "elided_columns": None},
        {"changed_columns": None, "elided_columns": None},
    ]
    images = rows(
        conn, "select before ->> 'big' as before, after ->> 'big' as after from journal.changes order by statement_id"
    )
    assert [bool(i["before"]) for i in images] == [False, True, True, False]
    assert images[1]["after"] == images[2]["before"] != images[1]["before"]


def test_rows_that_move_between_partitions_keep_both_images(conn: psycopg.Connection) -> None:
    conn.execute("create table t (id int primary key, big text) partition by range (id)")
    conn.execute(
        "create table a partition of t for values from (0) to (10); create table b partition of t for values from (10) to (20)"
    )
    cover(conn, "t")
    conn.execute(f"insert into t values (1, {_BIG})".encode())
    conn.execute("update t set id = 11")
    (moved,) = rows(
        conn,
        "select before ->> 'big' = after ->> 'big' as same, elided_columns from journal.changes where operation = 'UPDATE'",
    )
    assert moved == {"same": True, "elided_columns": None}


def test_a_key_is_never_elided(conn: psycopg.Connection) -> None:
    conn.execute("create table t (id text primary key, note text); alter table t alter id set storage external")
    conn.execute("insert into t values (repeat('k', 2400), 'a')")
    cover(conn, "t")
    conn.execute("update t set note = repeat('n', 9000)")
    (change,) = rows(conn, "select length(key ->> 'id') as length, elided_columns from journal.changes")
    assert change == {"length": 2400, "elided_columns": None}
