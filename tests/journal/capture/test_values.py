"""Images are exact, and reading them runs nobody's code."""

from __future__ import annotations

import psycopg
import pytest

from tests.journal.capture.support import changes, cover, folded, held, one, rows


def covered(conn: psycopg.Connection, column_type: str) -> None:
    conn.execute(f"create table t (id int primary key, v {column_type})".encode())
    cover(conn, "t")


@pytest.mark.parametrize(
    ("column_type", "value", "text"),
    [
        ("bit(3)", "'101'", "101"),
        ("char(5)", "'ab'", "ab   "),
        ("varchar(3)", "'abc'", "abc"),
        ("boolean", "true", "t"),
        ("numeric(10, 3)", "1.5", "1.500"),
        ("numeric", "'NaN'", "NaN"),
        ("float8", "'-0'", "-0"),
        ("float8", "0.1::float8 + 0.2::float8", "0.30000000000000004"),
        ("timestamptz", "'2026-01-02 03:04:05.678+02'", "2026-01-02 01:04:05.678+00"),
        ("date", "'infinity'", "infinity"),
        ("interval", "'1 year 2 days 03:04'", "1 year 2 days 03:04:00"),
        ("bytea", "'\\xdeadbeef'", "\\xdeadbeef"),
        ("jsonb", "'{\"a\": 1.50}'", '{"a": 1.50}'),
        ("json", r"""'{"nul": "\u0000"}'""", r'{"nul": "\u0000"}'),
        ("int[]", "'{1,NULL,3}'", "{1,NULL,3}"),
        ("int4range", "'[1,5)'", "[1,5)"),
        ("regclass", "'pg_class'", "pg_class"),
        ("text", "''", ""),
        ('"char"', "'x'", "x"),
        ("tsvector", "'a:1 b'", "'a':1 'b'"),
        ("money", "'1234.5'", "$1,234.50"),
    ],
)
def test_images_show_what_postgres_prints_whatever_the_settings(
    conn: psycopg.Connection, column_type: str, value: str, text: str
) -> None:
    covered(conn, column_type)
    conn.execute("set datestyle = 'SQL, DMY'; set intervalstyle = iso_8601; set timezone = 'Asia/Kathmandu'")
    conn.execute("set bytea_output = escape; set extra_float_digits = -5")
    conn.execute(f"insert into t values (1, {value})".encode())
    conn.execute("update t set v = null")
    assert changes(conn, "t") == [
        ("INSERT", None, {"id": "1", "v": text}),
        ("UPDATE", {"id": "1", "v": text}, {"id": "1", "v": None}),
    ]


def test_types_of_users_are_kept_as_their_output(conn: psycopg.Connection) -> None:
    conn.execute("create type mood as enum ('sad', 'ok'); create type pair as (a int, b text)")
    conn.execute("create domain small as int check (value < 9)")
    conn.execute("create table t (id int primary key, m mood, p pair, s small, ms mood[], ps pair[])")
    cover(conn, "t")
    conn.execute("insert into t values (1, 'ok', (1, 'x y'), 3, '{sad,ok}', array[(1, 'a')::pair])")
    assert changes(conn, "t")[0][2] == {
        "id": "1",
        "m": "ok",
        "p": '(1,"x y")',
        "s": "3",
        "ms": "{sad,ok}",
        "ps": '{"(1,a)"}',
    }


@pytest.mark.parametrize("value", ["row(null, null)", "row(1, null)", "null"])
def test_composites_of_nulls_are_not_null(conn: psycopg.Connection, value: str) -> None:
    """[14] `is not null` is false for a composite that holds a NULL."""
    conn.execute("create type pair as (a int, b int)")
    covered(conn, "pair")
    conn.execute(f"insert into t values (1, {value})".encode())
    assert folded(conn, "t") == held(conn, "t")


def test_a_users_cast_to_text_is_never_run(conn: psycopg.Connection) -> None:
    """[13] It would run the code of whoever owns the type with the journal's rights."""
    conn.execute("create type cash as (amount int)")
    conn.execute("create function evil(cash) returns text language plpgsql as $$ begin raise 'ran'; end $$")
    conn.execute("create cast (cash as text) with function evil(cash) as implicit")
    covered(conn, "cash")
    conn.execute("insert into t values (1, row(5)); update t set v = row(6); delete from t")
    assert [(before or {}).get("v") for _, before, _ in changes(conn, "t")] == [None, "(5)", "(6)"]


def test_segments_do_not_hold_on_to_types_of_users(conn: psycopg.Connection) -> None:
    conn.execute("create type mood as enum ('sad')")
    covered(conn, "mood")
    conn.execute("insert into t values (1, 'sad')")
    conn.execute("drop table t; drop type mood")
    assert one(conn, "select count(*) from journal.statements") == 1


def test_a_change_of_representation_only_is_seen(conn: psycopg.Connection) -> None:
    covered(conn, "numeric")
    conn.execute("insert into t values (1, 1.5)")
    conn.execute("update t set v = 1.50")
    assert rows(conn, "select changed_columns from journal.changes where operation = 'UPDATE'") == [
        {"changed_columns": ["v"]}
    ]


def test_row_security_hides_nothing_from_capture(conn: psycopg.Connection) -> None:
    """[37] Neither enabled nor forced row security filters transition tables."""
    covered(conn, "text")
    conn.execute("insert into t values (1, 'a'), (2, 'b')")
    conn.execute("alter table t enable row level security; alter table t force row level security")
    conn.execute("create policy mine on t using (v = current_setting('app.tenant', true)) with check (true)")
    conn.execute("set app.tenant = 'a'")
    conn.execute("update t set id = 3 where id = 1")
    assert one(conn, "select sum(rows) from journal.statements") == 3
