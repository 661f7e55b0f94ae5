"""What it costs to take back a bulk UPDATE, beside the UPDATE itself on a table that nobody journals."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import psycopg

import journal
from benchmarks.measure import Ratio
from journal.embedded import PostgresServer
from journal.migrate import migrate

ROWS = 200_000
CHANGED = 50_000
OTHERS = 200_000
ROUNDS = 5


def run(server: PostgresServer) -> list[Ratio]:
    """A session that changed 50,000 rows, and one that changed 100 rows among many images of others."""
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute("create database bench_rollback")
        try:
            migrate(server.dsn("bench_rollback"))
            with psycopg.connect(server.dsn("bench_rollback"), autocommit=True) as conn:
                return [_bulk(conn), _few_among_many(conn)]
        finally:
            admin.execute("drop database bench_rollback with (force)")


def _bulk(conn: psycopg.Connection) -> Ratio:
    _table(conn, "covered_rows")
    _table(conn, "bare_rows")
    journal.cover(conn, "covered_rows")
    ours, bare = [], []
    for _ in range(ROUNDS):
        session = _agent(conn, f"update covered_rows set amount = amount + 1 where id <= {CHANGED}")
        conn.execute("vacuum covered_rows")
        conn.execute("vacuum bare_rows")
        bare.append(_seconds(lambda: conn.execute(f"update bare_rows set amount = amount + 1 where id <= {CHANGED}")))
        ours.append(_seconds(lambda: journal.rollback(conn, session)))  # noqa: B023  called at once
        conn.execute("vacuum covered_rows")
        conn.execute("vacuum bare_rows")
    what = f"rollback of {CHANGED:,} updated rows of {ROWS:,}, journaled and verified"
    return Ratio(what, _milliseconds(ours), _milliseconds(bare), "ms", bar=3.0, baseline_name="the bare UPDATE")


def _few_among_many(conn: psycopg.Connection) -> Ratio:
    _table(conn, "quiet_rows")
    _table(conn, "busy_rows")
    for name in ("quiet_rows", "busy_rows"):
        journal.cover(conn, name)
    for start in range(0, OTHERS, 1000):
        conn.execute(
            "update busy_rows set amount = amount where id > 100 and id between %s and %s", [start, start + 999]
        )
    quiet: list[float] = []
    busy: list[float] = []
    for _ in range(ROUNDS):
        for name, times in (("quiet_rows", quiet), ("busy_rows", busy)):
            session = _agent(conn, f"update {name} set amount = amount + 1 where id <= 100")
            times.append(_seconds(lambda: journal.rollback(conn, session)))  # noqa: B023  called at once
    what = f"rollback of 100 rows among {OTHERS:,} images of others"
    return Ratio(what, _milliseconds(busy), _milliseconds(quiet), "ms", bar=2.0, baseline_name="an empty segment")


def _table(conn: psycopg.Connection, name: str) -> None:
    conn.execute(
        f"create table {name} (id int primary key, amount int, name text, price numeric, at timestamptz default now(),"
        " note text, data jsonb, active bool, big bigint)"
    )
    conn.execute(
        f"insert into {name} select n, n, 'row ' || n, n * 1.5, now(), repeat('x', 40), jsonb_build_object('n', n), true, n"
        " from generate_series(1, %s) as n",
        [ROWS],
    )
    conn.execute(f"vacuum analyze {name}")


def _agent(conn: psycopg.Connection, statement: str) -> str:
    """A session that ran one statement, closed; its id."""
    with journal.open_session(conn, agent="bench") as session:
        with session.step("work"):
            conn.execute(statement.encode())
        return str(session.id)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _milliseconds(times: list[float]) -> float:
    return statistics.median(times) * 1000
