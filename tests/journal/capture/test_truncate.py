"""TRUNCATE is captured whole or refused. [7]"""

from __future__ import annotations

import psycopg
import pytest

from tests.journal.capture.support import changes, cover, one, rows
from tests.rig import Cluster

_REFUSED = "JR023"


@pytest.fixture
def t(conn: psycopg.Connection) -> str:
    conn.execute("create table t (id int primary key, v text)")
    conn.execute("insert into t values (1, 'a'), (2, null)")
    cover(conn, "t")
    return "t"


def refuses(conn: psycopg.Connection, truncate: str, reason: str) -> None:
    with pytest.raises(psycopg.DatabaseError, match=reason) as refused:
        conn.execute(truncate.encode())
    assert refused.value.sqlstate == _REFUSED
    assert refused.value.diag.message_hint


def test_the_rows_are_recorded_as_they_go(conn: psycopg.Connection, t: str) -> None:
    conn.execute("alter table t rename to u; alter table u rename v to w")
    conn.execute("truncate u")
    assert changes(conn, "u") == [
        ("TRUNCATE", {"id": "1", "v": "a"}, None),
        ("TRUNCATE", {"id": "2", "v": None}, None),
    ]
    assert rows(conn, "select operation, rows from journal.statements") == [{"operation": "TRUNCATE", "rows": 2}]
    assert t


def test_truncate_of_an_empty_table_leaves_nothing(conn: psycopg.Connection, t: str) -> None:
    conn.execute("delete from t")
    conn.execute("truncate t")
    assert [r["operation"] for r in rows(conn, "select operation from journal.statements")] == ["DELETE"]
    assert t


def test_truncate_cascade_records_every_covered_table(conn: psycopg.Connection, t: str) -> None:
    conn.execute("create table child (id int primary key, t int references t); insert into child values (7, 1)")
    cover(conn, "child")
    conn.execute("truncate t cascade")
    assert changes(conn, "child") == [("TRUNCATE", {"id": "7", "t": "1"}, None)]
    assert len(changes(conn, t)) == 2


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_an_old_snapshot_refuses(conn: psycopg.Connection, t: str, isolation: str) -> None:
    with conn.transaction(force_rollback=True):
        conn.execute(f"set transaction isolation level {isolation}".encode())
        refuses(conn, "truncate t", "snapshot")
    assert t


def test_rows_that_the_journals_owner_may_not_read_refuse(conn: psycopg.Connection, t: str) -> None:
    conn.execute("revoke select on t from journal_owner")
    if one(conn, "select pg_has_role('journal_owner', relowner, 'usage') from pg_class where oid = 't'::regclass"):
        pytest.skip("the owner of the journal owns the table")
    refuses(conn, "truncate t", "may not read")
    assert one(conn, "select count(*) from t") == 2
    assert t


def test_row_security_refuses(conn: psycopg.Connection, t: str) -> None:
    conn.execute("alter table t enable row level security; create policy p on t using (id = 1)")
    refuses(conn, "truncate t", "row security")
    assert t


def test_too_many_rows_refuse(conn: psycopg.Connection, superuser_dsn: str, t: str) -> None:
    with psycopg.connect(superuser_dsn) as admin:
        admin.execute(
            "create or replace function journal.truncate_limit() returns bigint language sql immutable return 1"
        )
    refuses(conn, "truncate t", "more than 1 rows")
    assert t


def test_an_unknown_shape_refuses(conn: psycopg.Connection, t: str) -> None:
    conn.execute("alter table t add column c int")
    with pytest.raises(psycopg.DatabaseError) as refused:
        conn.execute("truncate t")
    assert refused.value.sqlstate == "JR031"
    assert t


def test_truncate_can_be_refused_by_choice(conn: psycopg.Connection, t: str) -> None:
    cover(conn, t, truncate="refuse")
    assert one(conn, "select truncate from journal.coverage") == "refuse"
    refuses(conn, "truncate t", "coverage says so")


def test_cover_lets_capture_read_and_uncover_takes_it_back(conn: psycopg.Connection, t: str) -> None:
    may_read = "select has_table_privilege('journal_owner', 't', 'select')"
    owned = one(conn, "select pg_has_role('journal_owner', relowner, 'usage') from pg_class where oid = 't'::regclass")
    assert one(conn, may_read)
    conn.execute("select journal.uncover('t')")
    assert one(conn, may_read) is owned
    cover(conn, t, exclude=["v"])
    assert one(conn, may_read) is owned


def test_what_must_not_be_read_refuses(conn: psycopg.Connection, t: str) -> None:
    cover(conn, t, exclude=["v"])
    refuses(conn, "truncate t", "may not read")


def test_cover_lets_capture_into_the_schema(conn: psycopg.Connection) -> None:
    conn.execute('create schema "Own"; create table "Own".t (id int primary key); insert into "Own".t values (1)')
    cover(conn, '"Own".t')
    conn.execute('truncate "Own".t')
    assert changes(conn, '"Own".t') == [("TRUNCATE", {"id": "1"}, None)]


def test_an_owner_who_may_not_grant_the_schema_covers_and_is_refused_truncate(
    postgres: Cluster, superuser_dsn: str
) -> None:
    role = postgres.create_role()
    with psycopg.connect(superuser_dsn, autocommit=True) as owner:
        owner.execute(f'grant journal_operator to {role}; create schema "Own"'.encode())
        owner.execute(f'grant usage, create on schema "Own" to {role}; set role {role}'.encode())
        owner.execute('create table "Own".t (id int primary key); insert into "Own".t values (1)')
        cover(owner, '"Own".t')
        with pytest.raises(psycopg.DatabaseError, match="may not enter its schema") as refused:
            owner.execute('truncate "Own".t')
    assert refused.value.sqlstate == _REFUSED
    assert refused.value.diag.message_hint == 'grant usage on schema "Own" to journal_owner, or delete the rows'
