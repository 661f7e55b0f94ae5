"""Dump and restore. [35]"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

import journal
from journal.doctor import examine
from tests import rig
from tests.journal.capture.support import bind, changes, cover, one, open_session, rows, status


def pg(cluster: rig.Cluster, program: str, *arguments: str) -> str:
    """Run a client program of the server under test."""
    path = Path(cluster.server.bin_dir) / program
    if not path.exists():
        pytest.skip(f"no {program} for this server")
    done = subprocess.run([str(path), *arguments], capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("sh") is None, reason="no shell")
def test_a_restored_database_goes_on_where_it_was(
    postgres: rig.Cluster, database: str, conn: psycopg.Connection, tmp_path: Path
) -> None:
    """Nothing is captured while loading, and no object ids of the old database are left in the capture functions."""
    conn.execute("create type mood as enum ('sad', 'ok')")
    conn.execute(
        "create table t (id int primary key, m mood, v text); create table p (id int primary key) partition by range (id)"
    )
    conn.execute("create table p1 partition of p for values from (0) to (9)")
    conn.execute("insert into t values (1, 'ok', 'a')")
    cover(conn, "t")
    cover(conn, "p")
    session = open_session(conn)
    with conn.transaction():
        bind(conn, session)
        conn.execute("update t set v = 'b'")
    conn.execute("insert into p values (1)")
    before = rows(conn, "select statement_id, operation, key, before, after from journal.changes order by 1")
    dump = tmp_path / "dump"
    pg(postgres, "pg_dump", "--format=custom", f"--file={dump}", postgres.superuser_dsn(database))
    with postgres.database() as other:
        with psycopg.connect(postgres.superuser_dsn(other), autocommit=True) as padding:
            padding.execute("create table padding ()")  # so that no table gets the number that it had
        pg(postgres, "pg_restore", f"--dbname={postgres.superuser_dsn(other)}", str(dump))
        with psycopg.connect(postgres.superuser_dsn(other), autocommit=True) as restored:
            assert (
                rows(restored, "select statement_id, operation, key, before, after from journal.changes order by 1")
                == before
            )
            restored.execute("update t set m = 'sad'; insert into p1 values (2)")
            assert changes(restored, "t")[-1][2] == {"id": "1", "m": "sad", "v": "b"}
            kinds = "select distinct g.kind from journal.statement join journal.segment g using (segment_id)"
            assert rows(restored, kinds) == [{"kind": "typed"}]
            assert status(restored, "t") == status(restored, "p1") == "covered"
            (unsure,) = [finding for finding in examine(restored) if finding.cover == "public.t"]
            assert (unsure.level, unsure.fix) == ("warning", "journal cover public.t")
            journal.rollback(restored, session)
            assert one(restored, "select v from t") == "a"
            restored.execute("alter table p disable trigger journal_insert")
            assert status(restored, "p") == "gap"
            cover(restored, "t")
            cover(restored, "p")
            assert {
                r["status"]
                for r in rows(restored, "select status from journal.coverage where table_name <> 'public.padding'")
            } == {"covered"}
            assert [r for r in examine(restored) if r.cover] == []
            restored.execute("alter table t disable trigger all; alter table t enable trigger all")
            assert status(restored, "t") == "gap"
