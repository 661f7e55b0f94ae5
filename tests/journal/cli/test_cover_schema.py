"""`journal cover --schema`: many tables with foreign keys, partitions and odd names in one go, and why some are refused."""

from __future__ import annotations

import psycopg

import journal
from tests.journal.cli.conftest import Shell

_TABLES = 60
_SCHEMA = 'Odd "shop" %s'
_QUOTED = '"Odd ""shop"" %s"'
_CHAIN = f"""
    create schema {_QUOTED};
    set search_path = {_QUOTED};
    create table "t 1" (id int primary key);
    insert into "t 1" values (1);
    do $$ begin
        for n in 2 .. {_TABLES} loop
            execute format('create table %I (id int primary key, parent int references %I on delete cascade)',
                           't ' || n, 't ' || n - 1);
            execute format('insert into %I values (1, 1)', 't ' || n);
        end loop;
    end $$;
    create table "sélect" (id int, day date, "n""o." int, primary key (day, id)) partition by range (day);
    create table "sélect 2026" partition of "sélect" for values from ('2026-01-01') to ('2027-01-01') partition by list (id);
    create table "sélect 2026 one" partition of "sélect 2026" for values in (1);
    create table "ünique" ("{{a}}" text collate "C" primary key, "$1" int references "t 1")"""
_REFUSED = {
    "keyless": ("create table keyless (n int)", "it has no primary key"),
    "unlogged": ("create unlogged table unlogged (id int primary key)", "unlogged"),
    "parent": ("create table parent (id int primary key)", "inheritance"),
    "child": ("create table child (primary key (id)) inherits (parent)", "inheritance"),
    "ruled": (
        "create table ruled (id int primary key); create rule r as on delete to ruled do instead nothing",
        "rule",
    ),
    "made": (
        "create table made (n int, id int generated always as (n * 2) stored primary key)",
        "a generated column is part of its key",
    ),
    "wide": (
        f"create table wide (id int primary key, {', '.join(f'c{n} bigint' for n in range(600))})",
        "too wide for both images",
    ),
}


def test_hundreds_of_tables_in_one_go(shell: Shell, conn: psycopg.Connection) -> None:
    for ddl in (_CHAIN, *(ddl for ddl, _ in _REFUSED.values())):
        conn.execute(ddl.encode())
    done = shell("cover", "--schema", _QUOTED, "--json")
    assert (done.code, done.json["outcome"]) == (5, "partly")
    refused = {table["table"].split(".")[-1]: table["reason"] for table in done.json["tables"] if table["reason"]}
    assert set(refused) == set(_REFUSED)
    for name, (_, reason) in _REFUSED.items():
        assert reason in refused[name]
    assert [table["status"] for table in done.json["tables"]].count("covered") == _TABLES + 2
    shown = conn.execute("select status, count(*)::int from journal.coverage group by 1").fetchall()
    assert dict(shown) == {"covered": _TABLES + 4, "uncovered": 1, "uncoverable": len(_REFUSED) - 1}
    comes_back(conn)


def comes_back(conn: psycopg.Connection) -> None:
    """What one delete took along through all the tables is recorded in each, and comes back."""
    with journal.open_session(conn, agent="bot") as session, session.step("clean up"):
        conn.execute('delete from "t 1"')
    assert conn.execute(f'select count(*) from "t {_TABLES}"'.encode()).fetchone() == (0,)
    assert journal.rollback(conn, session).rows["reinsert"] == _TABLES
    assert conn.execute(f'select count(*) from "t {_TABLES}"'.encode()).fetchone() == (1,)
