"""Whose a change is: the last binding before it in its transaction."""

from __future__ import annotations

import psycopg
import pytest

from tests.journal.capture.support import bind, changes, cover, one, open_session, rows


@pytest.fixture
def t(conn: psycopg.Connection) -> str:
    conn.execute("create table t (id int primary key, v text)")
    conn.execute("insert into t select g, 'v' from generate_series(1, 9) as g")
    cover(conn, "t")
    return "t"


def ids(conn: psycopg.Connection, session_id: object) -> list[str]:
    found = rows(
        conn,
        "select key from journal.changes where session_id is not distinct from %s order by statement_id",
        session_id,
    )
    return [r["key"]["id"] for r in found]


def test_what_came_before_the_binding_is_not_the_sessions(conn: psycopg.Connection, t: str) -> None:
    session = open_session(conn)
    with conn.transaction():
        conn.execute("delete from t where id = 1")
        bind(conn, session)
        conn.execute("delete from t where id = 2")
    conn.execute("delete from t where id = 3")
    assert ids(conn, session) == ["2"]
    assert ids(conn, None) == ["1", "3"]
    assert t


def test_a_binding_of_a_rolled_back_savepoint_binds_nothing(conn: psycopg.Connection, t: str) -> None:
    session = open_session(conn)
    with conn.transaction():
        with conn.transaction(force_rollback=True):
            bind(conn, session)
            conn.execute("delete from t where id = 1")
        conn.execute("delete from t where id = 2")
    assert ids(conn, session) == []
    assert ids(conn, None) == ["2"]
    assert t


def test_a_released_savepoint_keeps_what_it_bound(conn: psycopg.Connection, t: str) -> None:
    session = open_session(conn)
    with conn.transaction():
        with conn.transaction():
            bind(conn, session)
        conn.execute("delete from t where id = 1")
    assert ids(conn, session) == ["1"]
    assert t


def test_concurrent_transactions_are_told_apart(conn: psycopg.Connection, dsn: str, t: str) -> None:
    first, second = open_session(conn, "first"), open_session(conn, "second")
    with psycopg.connect(dsn) as a, psycopg.connect(dsn) as b:
        bind(a, first)
        bind(b, second)
        for n in range(1, 5):
            (a if n % 2 else b).execute("delete from t where id = %s", (n,))
    assert ids(conn, first) == ["1", "3"]
    assert ids(conn, second) == ["2", "4"]
    assert t


def test_a_prepared_transaction_is_the_sessions_once_it_is_committed(conn: psycopg.Connection, t: str) -> None:
    session = open_session(conn)
    conn.execute("begin")
    bind(conn, session)
    conn.execute("delete from t where id = 1")
    conn.execute("prepare transaction 'capture'")
    assert ids(conn, session) == []
    conn.execute("commit prepared 'capture'")
    assert ids(conn, session) == ["1"]
    assert t


def test_the_same_transaction_id_of_another_cluster_is_another_transaction(
    conn: psycopg.Connection, superuser_dsn: str, t: str
) -> None:
    """[34] After a restore elsewhere transaction ids repeat."""
    session = open_session(conn)
    with conn.transaction():
        bind(conn, session)
        conn.execute("delete from t where id = 1")
    with psycopg.connect(superuser_dsn) as restored:
        restored.execute("update journal.binding set cluster = cluster + 1")
    assert ids(conn, session) == []
    assert ids(conn, None) == ["1"]
    assert t


@pytest.mark.parametrize(
    "query", ["select * from journal.session_changes(%s)", "select * from journal.changes where session_id = %s"]
)
def test_a_sessions_changes_are_read_without_the_others(conn: psycopg.Connection, t: str, query: str) -> None:
    """[23] What is read, counted in pages, does not grow with what others wrote."""
    session = open_session(conn)
    with conn.transaction():
        bind(conn, session)
        for n in range(1, 9):
            conn.execute("update t set v = 'x' where id = %s", (n,))
    assert len(rows(conn, query, session)) == 8
    alone = pages_read(conn, query, session)
    conn.execute("insert into t select g, 'v' from generate_series(10, 5000) as g")
    conn.execute("do $$ begin for n in 1 .. 200 loop update t set v = 'w' where id = n; end loop; end $$")
    conn.execute("vacuum analyze")
    assert len(rows(conn, query, session)) == 8
    assert pages_read(conn, query, session) < 2 * alone
    assert t


def pages_read(conn: psycopg.Connection, query: str, session_id: object) -> int:
    """Pages that a query reads, once plans and catalogs are cached."""
    (plan,) = rows(conn, f"explain (analyze, buffers, timing off, format json) {query}", session_id)
    top = plan["QUERY PLAN"][0]["Plan"]
    read: int = top["Shared Hit Blocks"] + top["Shared Read Blocks"]
    return read


def test_the_history_of_a_row_follows_its_key(conn: psycopg.Connection, t: str) -> None:
    conn.execute("update t set v = 'a' where id = 1")
    conn.execute("update t set v = 'b' where id in (1, 2)")
    conn.execute("update t set id = 70 where id = 1")
    conn.execute("delete from t where id = 70")
    history = rows(conn, "select operation, before, after from journal.row_history('t', '{\"id\": 1}')")
    assert [(r["before"]["v"], r["after"]["v"], r["after"]["id"]) for r in history] == [
        ("v", "a", "1"), ("a", "b", "1"), ("b", "b", "70"),
    ]  # fmt: skip
    later = rows(conn, "select operation from journal.row_history('t', '{\"id\": \"70\"}')")
    assert [r["operation"] for r in later] == ["UPDATE", "DELETE"]
    assert rows(conn, "select * from journal.row_history('t', '{\"nothing\": 1}')") == []
    assert changes(conn, t)


def test_agent_roles_write_only_inside_a_session(
    postgres: object, superuser_dsn: str, conn: psycopg.Connection, t: str
) -> None:
    """[32] Roles are matched exactly: who may become an agent is none. Plans from before the first agent do not let it pass."""
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        bot = "bot_" + one(admin, "select substr(md5(random()::text), 1, 8)")
        admin.execute(f"create role {bot}; grant all on t to {bot}; grant {bot} to current_user".encode())
        admin.execute(f"set role {bot}".encode())
        for _ in range(7):
            admin.execute("update t set v = v || 'w' where id = 9", prepare=True)
        admin.execute("reset role")
        admin.execute("select journal.add_agent_role(%s)", (bot,))
        admin.execute("delete from t where id = 1")
        admin.execute(f"set role {bot}".encode())
        with pytest.raises(psycopg.DatabaseError, match="bound session") as refused:
            admin.execute("update t set v = v || 'w' where id = 9", prepare=True)
        assert refused.value.sqlstate == "JR024"
        with pytest.raises(psycopg.DatabaseError, match="bound session"):
            admin.execute("delete from t where id = 2")
        admin.execute("delete from t where id = 2000")
        admin.execute("reset role")
        admin.execute(f"drop owned by {bot}; drop role {bot}".encode())
    assert one(conn, "select count(*) from t where id in (1, 2)") == 1
    assert postgres
    assert t
