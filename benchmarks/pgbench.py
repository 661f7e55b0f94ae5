"""Real traffic that nobody here wrote: pgbench's own TPC-B load, with its own program, on its own tables.

Its invariant: each transaction adds one delta to an account, a teller and a branch, and writes it down in `pgbench_history`. So
the history says exactly what every balance must be.
"""

from __future__ import annotations

import re
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

import journal
from benchmarks.measure import Ratio
from journal.embedded import PostgresServer
from journal.migrate import migrate

COVERED = ("pgbench_accounts", "pgbench_tellers", "pgbench_branches")  # pgbench_history has no key
CLIENTS = 4
ROUNDS = 5
SECONDS = 4


def initialize(program: Path, dsn: str, *, scale: int = 1) -> None:
    """pgbench's tables and rows: 100,000 accounts for each unit of `scale`."""
    subprocess.run(
        [str(program), "--initialize", "--quiet", "--scale", str(scale), dsn], check=True, capture_output=True
    )


def cover(conn: psycopg.Connection) -> None:
    for table in COVERED:
        journal.cover(conn, f"public.{table}")


@dataclass
class Load:
    """A load that is running, and what it printed when it was over."""

    process: subprocess.Popen[str]
    printed: str = ""

    @property
    def running(self) -> bool:
        return self.process.poll() is None


@contextmanager
def load(program: Path, dsn: str, seconds: int) -> Iterator[Load]:
    """TPC-B from `CLIENTS` clients for so long; leaving the block waits for its end. Raises where a transaction failed."""
    command = [str(program), "--no-vacuum", "--client", str(CLIENTS), "--jobs", "2", "--time", str(seconds), dsn]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        running = Load(process)
        try:
            yield running
            running.printed, errors = process.communicate()
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0 or "number of failed transactions: 0 " not in running.printed:
        raise RuntimeError(f"pgbench failed: {running.printed}{errors}")


def rate(program: Path, dsn: str, seconds: int) -> float:
    """Transactions a second."""
    with load(program, dsn, seconds) as done:
        pass
    found = re.search(r"tps = ([\d.]+)", done.printed)
    if found is None:
        raise RuntimeError("pgbench printed no rate")
    return float(found[1])


def run(server: PostgresServer) -> list[Ratio]:
    """TPC-B with and without a journal, in turns."""
    program = server.bin_dir / "pgbench"
    bare, covered = (_database(server, name) for name in ("bench_tpcb_bare", "bench_tpcb_covered"))
    for dsn in (bare, covered):
        initialize(program, dsn)
    migrate(covered, no_roles=True)
    with psycopg.connect(covered, autocommit=True) as conn:
        cover(conn)
    rates = [(rate(program, covered, SECONDS), rate(program, bare, SECONDS)) for _ in range(ROUNDS)]
    ours, baseline = (statistics.median(column) for column in zip(*rates, strict=True))
    return [Ratio("pgbench TPC-B, 4 clients, 3 covered tables", ours, baseline, "tps", more_is_better=True)]


def _database(server: PostgresServer, name: str) -> str:
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    return server.dsn(name)
