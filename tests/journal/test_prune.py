"""Retention: segments are rotated by time and dropped whole."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests import rig
from tests.journal.capture.support import bind, changes, cover, one, open_session, rows, status


@pytest.fixture
def admin(superuser_dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def t(conn: psycopg.Connection) -> str:
    conn.execute(
        "create table t (id int primary key, v text); create table p (id int primary key) partition by range (id)"
    )
    conn.execute("create table p1 partition of p for values from (0) to (9)")
    cover(conn, "t")
    cover(conn, "p")
    conn.execute("insert into t values (1, 'a'); insert into p values (1)")
    return "t"


def age(admin: psycopg.Connection, interval: str) -> None:
    """Let all segments be older than they are."""
    shift = "update journal.segment set from_at = from_at - %s::interval, until_at = until_at - %s::interval"
    admin.execute(shift.encode(), (interval, interval))


def actions(conn: psycopg.Connection) -> list[tuple[str, str]]:
    return [(r["table_name"], r["action"]) for r in rows(conn, "select * from journal.prune()")]


def test_young_segments_are_left_alone(conn: psycopg.Connection, t: str) -> None:
    assert actions(conn) == []
    assert t


def test_old_segments_give_way_without_touching_a_trigger(
    conn: psycopg.Connection, admin: psycopg.Connection, t: str
) -> None:
    age(admin, "2 days")
    with psycopg.connect(conn.info.dsn, password=conn.info.password, autocommit=True) as writer:
        writer.execute("begin; update t set v = 'b'")
        conn.execute("set lock_timeout = '2s'")
        assert actions(conn) == [("public.t", "begun"), ("public.p", "begun")]
        writer.execute("update t set v = 'c'; commit")
    conn.execute("update t set v = 'd'; insert into p1 values (2); insert into p values (3)")
    assert [after and after["v"] for _, _, after in changes(conn, t)] == ["a", "b", "c", "d"]
    assert len(changes(conn, "p")) == 3
    assert status(conn, t) == status(conn, "p") == "covered"
    assert actions(conn) == []
    conn.execute("alter table t add column w int; update t set w = 1")
    assert changes(conn, t)[-1][2] == {"id": "1", "v": "d", "w": "1"}
    cover(conn, t)
    assert status(conn, t) == "covered"


def test_what_retention_allows_is_dropped(conn: psycopg.Connection, admin: psycopg.Connection, t: str) -> None:
    age(admin, "2 days")
    actions(conn)
    conn.execute("update t set v = 'b'")
    age(admin, "31 days")
    assert sorted({r["droppable"] for r in rows(conn, "select droppable from journal.segments")}) == [False, True]
    assert ("public.t", "dropped") in actions(conn)
    assert [after and after["v"] for _, _, after in changes(conn, t)] == ["b"]
    assert one(conn, "select count(*) from journal.statements where relation = 't'::regclass") == 2


def test_what_an_open_session_did_is_kept(conn: psycopg.Connection, admin: psycopg.Connection, t: str) -> None:
    session = open_session(conn)
    with conn.transaction():
        bind(conn, session)
        conn.execute("update t set v = 'b'")
    age(admin, "2 days")
    actions(conn)
    age(admin, "31 days")
    assert ("public.t", "dropped") not in actions(conn)
    conn.execute("select journal.close_session(%s)", (session,))
    assert ("public.t", "dropped") in actions(conn)
    assert t


def test_neither_readers_nor_writers_are_waited_for(
    conn: psycopg.Connection, admin: psycopg.Connection, dsn: str, t: str
) -> None:
    """A snapshot that is held, such as a dump's, keeps its segment until next time; a writer goes on in between."""
    conn.execute("set statement_timeout = '5s'")
    with psycopg.connect(dsn) as reader, psycopg.connect(dsn, autocommit=True) as writer:
        reader.execute("set transaction isolation level repeatable read")
        assert len(changes(reader, t)) == 1
        age(admin, "2 days")
        writer.execute("begin; set lock_timeout = '2s'; update t set v = 'b'")
        assert ("public.t", "begun") in actions(conn)
        age(admin, "31 days")
        with conn.transaction():
            assert set(actions(conn)) == {("public.p", "dropped")}
            writer.execute("update t set v = 'c'; commit")
            writer.execute("update t set v = 'd'")
        assert len(changes(reader, t)) == 1
    assert actions(conn)[-1] == ("public.t", "dropped")
    assert [after and after["v"] for _, _, after in changes(conn, t)] == ["c", "d"]


def test_a_table_that_is_being_covered_has_its_turn_next_time(
    conn: psycopg.Connection, admin: psycopg.Connection, dsn: str, t: str
) -> None:
    conn.execute("set statement_timeout = '5s'")
    age(admin, "2 days")
    with psycopg.connect(dsn) as owner:
        cover(owner, t, writers="agents")
        assert actions(conn) == [("public.p", "begun")]
    assert actions(conn) == [("public.t", "begun")]


def test_only_the_owner_of_the_journal_may_drop_young_images(
    admin: psycopg.Connection, postgres: rig.Cluster, database: str, t: str
) -> None:
    operator = postgres.create_role()
    admin.execute(f"grant journal_operator to {operator}".encode())
    with psycopg.connect(postgres.dsn(database, role=operator), autocommit=True) as conn:
        for keep in ("-1 day", "59 minutes"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="at the shortest"):
                conn.execute("select journal.prune(keep => %s)", (keep,))
        assert rows(conn, "select * from journal.prune(keep => '1 hour')") == []
    assert rows(admin, "select * from journal.prune(keep => '0')") == []
    assert t


def test_what_a_rollback_left_goes_with_the_images(conn: psycopg.Connection, admin: psycopg.Connection) -> None:
    """The changes it left are forgotten; that there were some is not, so the session is not taken for undone."""
    conn.execute("create table t (id int primary key, v text)")
    cover(conn, "t")
    conn.execute("insert into t select n, 'a' from generate_series(1, 4) n")
    session = open_session(conn)
    with conn.transaction():
        bind(conn, session)
        conn.execute("update t set v = 'b'")
    conn.execute("update t set v = 'c' where id < 4")
    conn.execute("select journal.close_session(%s)", (session,))
    conn.execute("select journal.rollback(%s, on_conflict => 'skip')", (session,))
    assert one(conn, "select count(*) from journal.left_image") == 3
    age(admin, "2 days")
    actions(conn)
    age(admin, "31 days")
    assert ("public.t", "dropped") in actions(conn)
    assert one(conn, "select count(*) from journal.left_image") == 1
    report = one(
        conn, "select journal.rollback_report(array[%s::uuid], on_conflict => 'force', mode => 'plan')", session
    )
    assert (report["exit_code"], {c["reason"] for c in report["conflicts"]}) == (3, {"images_pruned"})
