"""Rollbacks of a size that takes minutes to make: a session of a million rows, and one of 100 rows among ten million others."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass

import psycopg

import journal
from benchmarks.measure import Ratio, agent, milliseconds, seconds
from journal.embedded import PostgresServer
from journal.migrate import migrate

ROWS = 1_000_000
FEWER = 100_000
OTHERS = 10_000_000
STATEMENTS_OF_OTHERS = 20
CLIENT_MB = 200
ROUNDS = 5

_JOURNAL = [sys.executable, "-c", "from journal.cli import main; main()"]
# The session's part of each table; every table has as many rows as the session changes there.
_WORK = {
    "raised": "update {0} set amount = amount + 1",
    "renamed": "update {0} set name = 'new ' || id, note = null",
    "added": "insert into {0} select id + 10000000, amount, name, price, at, note from {0}",
    "deleted": "delete from {0}",
}


def run(server: PostgresServer) -> list[Ratio]:
    """The memory and time that the shell needs for a million rows of four tables, and what ten million images of others cost."""
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute("create database bench_scale")
        try:
            dsn = server.dsn("bench_scale")
            migrate(dsn)
            with psycopg.connect(dsn, autocommit=True) as conn:
                return [*_million(dsn, conn), _few_among_many(conn)]
        finally:
            admin.execute("drop database bench_scale with (force)")


def _million(dsn: str, conn: psycopg.Connection) -> list[Ratio]:
    fewer, many = (_undone(dsn, conn, rows) for rows in (FEWER, ROWS))
    return [
        Ratio(
            f"client memory, rollback of {ROWS:,} rows of {len(_WORK)} tables",
            many.megabytes,
            CLIENT_MB,
            "MB",
            bar=1.0,
            baseline_name="the limit",
        ),
        Ratio(
            f"time for {FEWER:,} rows, in a session of {ROWS:,}",
            many.seconds * FEWER / ROWS,
            fewer.seconds,
            "s",
            bar=1.5,
            baseline_name=f"in a session of {FEWER:,}",
        ),
    ]


@dataclass(frozen=True)
class _Client:
    """What `journal rollback` took: seconds, and the most memory that it held."""

    seconds: float
    megabytes: float


def _undone(dsn: str, conn: psycopg.Connection, rows: int) -> _Client:
    """A session changes so many rows of four tables; the shell plans and takes it back. Its progress is passed on."""
    conn.execute("drop table if exists " + ", ".join(_WORK))
    for name in _WORK:
        conn.execute(
            f"create table {name} (id int primary key, amount int, name text, price numeric, at timestamptz, note text)"
        )
        conn.execute(
            f"insert into {name} select n, n, 'row ' || n, n * 1.5, now(), 'note' from generate_series(1, %s) as n",
            [rows // len(_WORK)],
        )
        conn.execute(f"vacuum analyze {name}")
        journal.cover(conn, name)
    with journal.open_session(conn, agent="bench") as session:
        for name, statement in _WORK.items():
            with session.step(name):
                conn.execute(statement.format(name).encode())
    environment = {**os.environ, "DATABASE_URL": dsn}
    started = time.perf_counter()
    client = subprocess.Popen(
        [*_JOURNAL, "rollback", "--session", str(session.id), "--yes", "--max-rows", str(rows)],
        env=environment,
        stdout=sys.stderr,
    )
    _, status, usage = os.wait4(client.pid, 0)
    client.returncode = os.waitstatus_to_exitcode(status)
    if client.returncode:
        raise RuntimeError(f"journal rollback ended with {client.returncode}")
    return _Client(time.perf_counter() - started, usage.ru_maxrss / 1024)


def _few_among_many(conn: psycopg.Connection) -> Ratio:
    rows = OTHERS // STATEMENTS_OF_OTHERS
    for name in ("quiet_rows", "busy_rows"):
        conn.execute(f"create table {name} (id int primary key, n int)")
        conn.execute(f"insert into {name} select n, 0 from generate_series(1, %s) as n", [rows + 100])
        journal.cover(conn, name)
    for _ in range(STATEMENTS_OF_OTHERS):
        agent(conn, "update busy_rows set n = n + 1 where id > 100")
    times: dict[str, list[float]] = {"quiet_rows": [], "busy_rows": []}
    for _ in range(ROUNDS):
        for name, took in times.items():
            session = agent(conn, f"update {name} set n = n + 1 where id <= 100")
            took.append(seconds(lambda: journal.rollback(conn, session)))  # noqa: B023  called at once
    return Ratio(
        f"rollback of 100 rows among {OTHERS:,} images of others",
        milliseconds(times["busy_rows"]),
        milliseconds(times["quiet_rows"]),
        "ms",
        bar=2.0,
        baseline_name="an empty segment",
    )
