"""Odd names: nothing of the user's is ever spelled into the capture function."""

from __future__ import annotations

import psycopg
import pytest

from tests.journal.capture.support import changes, cover, folded, held, rows

_LONGEST = "n" * 63
_NAMES = [
    "o",
    "n",
    "o1",
    "old_rows",
    "new_rows",
    "this_statement",
    "tg_op",
    "select",
    'qu"ote',
    "Größe",
    "a b%",
    "{n}",
    "$1",
    "表",
    _LONGEST,
]


@pytest.mark.parametrize("name", _NAMES)
def test_columns_of_any_name_are_recorded(conn: psycopg.Connection, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    conn.execute(f"create table t (id int primary key, {quoted} text)".encode())
    cover(conn, "t")
    conn.execute("insert into t values (1, 'a'), (2, 'b'), (3, 'c')")
    conn.execute(f"update t set {quoted} = 'x' where id = 1".replace("%", "%%").encode(), ())
    conn.execute(f"update t set {quoted} = {quoted} || '!'".replace("%", "%%").encode(), ())
    conn.execute("delete from t where id = 2")
    assert folded(conn, "t") == held(conn, "t")
    assert changes(conn, "t")[3] == ("UPDATE", {"id": "1", name: "a"}, {"id": "1", name: "x"})


@pytest.mark.parametrize("name", _NAMES)
def test_tables_and_schemas_of_any_name_are_covered(conn: psycopg.Connection, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    conn.execute(f"create schema {quoted}".encode())
    conn.execute(f"create table {quoted}.{quoted} (id int primary key)".encode())
    cover(conn, f"{quoted}.{quoted}")
    conn.execute(f"insert into {quoted}.{quoted} values (1)".encode())
    (statement,) = rows(conn, "select s.*, to_regclass(table_name) = relation as found from journal.statements s")
    assert statement["found"]


def test_a_renamed_and_moved_table_goes_on(conn: psycopg.Connection) -> None:
    conn.execute("create schema elsewhere; create table t (id int primary key)")
    cover(conn, "t")
    conn.execute("alter table t rename to u; alter table u set schema elsewhere")
    conn.execute("insert into elsewhere.u values (1)")
    (statement,) = rows(conn, "select * from journal.statements")
    assert (statement["relation"], statement["table_name"]) == ("elsewhere.u", "public.t")


def test_a_temporary_table_of_the_same_name_takes_nothing(conn: psycopg.Connection) -> None:
    """[33] Neither a shadow of the covered table nor shadows of the journal's own tables."""
    conn.execute("create table t (id int primary key)")
    cover(conn, "t")
    conn.execute("create temp table statement (like journal.statement)")
    conn.execute("create temp table segment_1 (statement_id bigint, o1 int, n1 int)")
    conn.execute("create temp table agent_role (role_name text)")
    conn.execute("set search_path = pg_temp, public")
    conn.execute("insert into public.t values (1)")
    assert changes(conn, "public.t") == [("INSERT", None, {"id": "1"})]
    conn.execute("create temp table t (id int)")
    conn.execute("insert into t values (2)")
    assert len(changes(conn, "public.t")) == 1
