"""Odd names: nothing of the user's is ever spelled into the capture function."""

from __future__ import annotations

import psycopg

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


def test_columns_of_any_name_are_recorded(conn: psycopg.Connection) -> None:
    conn.execute(
        f"create table t (id int primary key, {', '.join(f'{quoted(name)} text' for name in _NAMES)})".encode()
    )
    cover(conn, "t")
    conn.execute("insert into t (id) values (1), (2), (3)")
    for number, name in enumerate(_NAMES):
        conn.execute(f"update t set {quoted(name)} = 'x {number}' where id = 1".encode())
        conn.execute(f"update t set {quoted(name)} = concat({quoted(name)}, '!')".encode())
    conn.execute("delete from t where id = 2")
    assert folded(conn, "t") == held(conn, "t")
    (last,) = [after for operation, _, after in changes(conn, "t")[-4:] if after and after["id"] == "1"]
    assert last == {"id": "1"} | {name: f"x {number}!" for number, name in enumerate(_NAMES)}


def test_tables_and_schemas_of_any_name_are_covered(conn: psycopg.Connection) -> None:
    for name in _NAMES:
        table = f"{quoted(name)}.{quoted(name)}"
        conn.execute(f"create schema {quoted(name)}; create table {table} (id int primary key)".encode())
        cover(conn, table)
        conn.execute(f"insert into {table} values (1)".encode())
    found = rows(conn, "select to_regclass(table_name) = relation as found from journal.statements")
    assert [row["found"] for row in found] == [True] * len(_NAMES)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


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


def test_a_column_named_like_a_piece_of_the_template_is_recorded(conn: psycopg.Connection) -> None:
    """What was filled in is not filled again."""
    conn.execute('create type "{shape}" as enum (\'a\'); create table t (id int primary key, "{types}" "{shape}")')
    cover(conn, "t")
    conn.execute('alter table t add column "{attnums}" int; alter table t add column "{new" int')
    conn.execute("insert into t values (1, 'a', 2, 3); update t set id = 2")
    cover(conn, "t")
    conn.execute("delete from t")
    image = {"{types}": "a", "{attnums}": "2", "{new": "3"}
    assert [after for _, _, after in changes(conn, "t")] == [{"id": "1", **image}, {"id": "2", **image}, None]
