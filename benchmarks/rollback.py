"""What it costs to take a session back: beside the bare forward statement on a table that nobody journals, among many changes of
others, and for a writer who has nothing to do with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

import journal
from benchmarks.measure import Ratio, agent, milliseconds, seconds
from journal.embedded import PostgresServer
from journal.migrate import migrate

ROWS = 200_000
CHANGED = 50_000
OTHERS = 200_000
ROUNDS = 5


def run(server: PostgresServer) -> list[Ratio]:
    """Sessions that changed 50,000 rows in one statement, one that changed 100 rows among many images of others, and the wait
    of an unrelated writer."""
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute("create database bench_rollback")
        try:
            dsn = server.dsn("bench_rollback")
            migrate(dsn)
            with psycopg.connect(dsn, autocommit=True) as conn:
                _table(conn, "covered_rows")
                _table(conn, "bare_rows")
                journal.cover(conn, "covered_rows")
                bulk = [_bulk(conn, change) for change in (_UPDATE, _INSERT, _DELETE)]
                return [*bulk, _longest_wait(dsn, conn), _few_among_many(conn)]
        finally:
            admin.execute("drop database bench_rollback with (force)")


@dataclass(frozen=True)
class _Change:
    """What a session does to a table {0}, and what makes the bare one as before."""

    what: str
    forward: str
    back: str | None = None
    bar: float | None = None


_COLUMNS = "amount, name, price, at, note, data, active, big"
_UPDATE = _Change("updated", f"update {{0}} set amount = amount + 1 where id <= {CHANGED}", bar=3.0)
_INSERT = _Change(
    "inserted",
    f"insert into {{0}} select id + {ROWS}, {_COLUMNS} from {{0}} where id <= {CHANGED}",
    f"delete from bare_rows where id > {ROWS}",
)
_DELETE = _Change(
    "deleted",
    f"delete from {{0}} where id <= {CHANGED}",
    f"insert into bare_rows select * from covered_rows where id <= {CHANGED}",
)


def _bulk(conn: psycopg.Connection, change: _Change) -> Ratio:
    ours, bare = [], []
    for _ in range(ROUNDS):
        session = agent(conn, change.forward.format("covered_rows"))
        _vacuum(conn)
        bare.append(seconds(lambda: conn.execute(change.forward.format("bare_rows").encode())))
        ours.append(seconds(lambda: journal.rollback(conn, session)))  # noqa: B023  called at once
        if change.back:
            conn.execute(change.back.encode())
        _vacuum(conn)
    return Ratio(
        f"rollback of {CHANGED:,} {change.what} rows of {ROWS:,}, journaled and verified",
        milliseconds(ours),
        milliseconds(bare),
        "ms",
        bar=change.bar,
        baseline_name="the bare statement",
    )


def _longest_wait(dsn: str, conn: psycopg.Connection) -> Ratio:
    """The longest one-row update of another row of the same table, during a rollback and during a bulk UPDATE by hand."""
    ours, by_hand = [], []
    for _ in range(ROUNDS):
        session = agent(conn, _UPDATE.forward.format("covered_rows"))
        with _writer(dsn) as waits:
            conn.execute(_UPDATE.forward.format("bare_rows").encode())
        by_hand.append(max(waits))
        with _writer(dsn) as waits:
            journal.rollback(conn, session)
        ours.append(max(waits))
        _vacuum(conn)
    what = f"longest wait of an unrelated writer while {CHANGED:,} rows go back"
    return Ratio(what, milliseconds(ours), milliseconds(by_hand), "ms", baseline_name="during the bare UPDATE")


@contextmanager
def _writer(dsn: str) -> Iterator[list[float]]:
    """Updates one row after the other, beyond those that the sessions change; gives the seconds that each took."""
    times: list[float] = []
    over = threading.Event()

    def write() -> None:
        with psycopg.connect(dsn, autocommit=True) as conn:
            while not over.is_set():
                row = CHANGED + 1 + len(times) % (ROWS - CHANGED)
                times.append(seconds(lambda: conn.execute("update covered_rows set note = 'w' where id = %s", [row])))  # noqa: B023  called at once

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while not times:
            time.sleep(0.01)
        yield times
    finally:
        over.set()
        thread.join()


def _vacuum(conn: psycopg.Connection) -> None:
    for table in ("covered_rows", "bare_rows"):
        conn.execute(f"vacuum {table}".encode())


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
            session = agent(conn, f"update {name} set amount = amount + 1 where id <= 100")
            times.append(seconds(lambda: journal.rollback(conn, session)))  # noqa: B023  called at once
    what = f"rollback of 100 rows among {OTHERS:,} images of others"
    return Ratio(what, milliseconds(busy), milliseconds(quiet), "ms", bar=2.0, baseline_name="an empty segment")


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
