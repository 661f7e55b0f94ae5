"""What a keyed step costs: a one-row transaction bare and as a step, a replay, and both again among many keys.

`python -m benchmarks.steps [--rounds N] [--keys N …]` alone, or `python -m benchmarks steps [--keys N …]`. `--keys 1000 10000000`
goes up to ten million keys, which take a quarter of an hour to fill in. Rounds are interleaved; commits wait for the disk in both.
Replays are timed twice: in turns with those commits, which leave every cache cold, and one after another.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from itertools import count

import psycopg

import journal
from benchmarks.measure import Ratio, show
from journal.embedded import PostgresServer, start_postgres
from journal.migrate import migrate

ROWS = 10_000
ROUNDS = 600
WARM_UP = 50
KEYS = (1_000, 100_000, 1_000_000)
CHUNK = 100_000
REPLAY_BAR_MS = 1.0

_TABLE = "create table {name} as select n as id, 0 as amount, 'row ' || n as note from generate_series(1, {rows}) as n"
_STEPS = """
insert into journal.step
       (step_id, session_id, tool, tenant, key, attempt, status, holds_key, arguments, transaction_id, cluster, started_at,
        key_expires_at, db_user, db_role)
select outbox.uuid7(), %(session)s, 'refund', '', 'filler-' || n, 1, 'begun', true, '{}', pg_current_xact_id(),
       journal.cluster_id(), clock_timestamp(), clock_timestamp() + interval '30 days', session_user, session_user
  from generate_series(%(first)s::int, %(last)s::int) as n
"""
_RECEIPTS = """
insert into journal.receipt (receipt_id, step_id, document, digest)
select r.id, s.step_id,
       jsonb_build_object('receipt_id', r.id, 'session_id', s.session_id, 'step_id', s.step_id, 'result', null,
                          'changes', '{}'::jsonb, 'message_ids', '[]'::jsonb, 'committed_at', clock_timestamp()),
       'sha256:'
  from journal.step s cross join lateral (select outbox.uuid7() as id where s.step_id is not null) r
 where s.transaction_id = pg_current_xact_id()
"""


class Bench:
    """One warm connection with a session on it, and what is timed there."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self._conn = conn
        self._session = journal.open_session(conn, agent="bench")
        self._numbers = count(1)
        self._random = random.Random(1)
        self.keys = 0

    def bare(self, table: str) -> None:
        with self._conn.transaction():
            self._update(table, next(self._numbers))

    def step(self, table: str) -> None:
        number = next(self._numbers)
        with self._session.step("refund", key=f"order-{number}", arguments={"order": number}) as step:
            self._update(table, number)
            step.complete({"refund": number})

    def replay(self) -> None:
        """Of a key that was completed before, by the block that a retried tool call goes through."""
        with self._session.step("refund", key=f"filler-{self._random.randint(1, self.keys)}", arguments={}) as step:
            assert step.replayed

    def replay_run(self) -> None:
        """As a tool that is called by `session.run` goes through it."""
        self._session.run("refund", _never, key=f"filler-{self._random.randint(1, self.keys)}", arguments={})

    def fill(self, keys: int) -> None:
        """Up to so many completed keys."""
        for first in range(self.keys + 1, keys + 1, CHUNK):
            bounds = {"session": self._session.id, "first": first, "last": min(first + CHUNK - 1, keys)}
            with self._conn.transaction():
                self._conn.execute(_STEPS, bounds)
                self._conn.execute(_RECEIPTS)
        self.keys = keys
        self._conn.execute("vacuum analyze journal.step, journal.receipt")
        self._conn.execute("checkpoint")

    def _update(self, table: str, number: int) -> None:
        self._conn.execute(f"update {table} set amount = amount + 1 where id = %s", [number % ROWS + 1])


def _never(_: journal.Step) -> None:
    raise AssertionError("a replay runs nothing")


def measure(server: PostgresServer, rounds: int, keys: tuple[int, ...]) -> list[Ratio]:
    """All figures, on a database of its own on `server`."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("create database bench_steps")
    dsn = server.dsn("bench_steps")
    migrate(dsn, no_roles=True)
    with psycopg.connect(dsn, autocommit=True) as conn:
        for name in ("bare_rows", "rows", "bare_covered_rows", "covered_rows"):
            conn.execute(_TABLE.format(name=name, rows=ROWS))
            conn.execute(f"alter table {name} add primary key (id)")
        for name in ("bare_covered_rows", "covered_rows"):
            journal.cover(conn, name)
        conn.execute("vacuum analyze")
        bench = Bench(conn)
        bench.fill(keys[0])
        return [*_costs(bench, rounds), *_growth(bench, rounds, keys)]


def run(server: PostgresServer, keys: tuple[int, ...] = KEYS) -> list[Ratio]:
    """The figures as `python -m benchmarks` prints them."""
    return measure(server, ROUNDS, keys)


def _costs(bench: Bench, rounds: int) -> list[Ratio]:
    bare, step, bare_covered, covered, replay = _interleaved(
        rounds,
        lambda: bench.bare("bare_rows"),
        lambda: bench.step("rows"),
        lambda: bench.bare("bare_covered_rows"),
        lambda: bench.step("covered_rows"),
        bench.replay,
    )
    return [
        Ratio("keyed step around a 1-row commit", step, bare, "ms", bar=1.8, baseline_name="the bare transaction"),
        Ratio(
            "the same, table covered", covered, bare_covered, "ms", baseline_name="the bare transaction, table covered"
        ),
        _replays("replay of a key, in turns with the others", replay),
        _replays("replays one after another", *_interleaved(rounds, bench.replay)),
        _replays("the same, by session.run", *_interleaved(rounds, bench.replay_run)),
    ]


def _replays(name: str, milliseconds: float) -> Ratio:
    return Ratio(name, milliseconds, REPLAY_BAR_MS, "ms", bar=1.0, baseline_name="one millisecond")


def _growth(bench: Bench, rounds: int, keys: tuple[int, ...]) -> list[Ratio]:
    found = []
    for number in keys:
        bench.fill(number)
        found.append(_interleaved(rounds, lambda: bench.step("rows"), bench.replay))
    (few_step, few_replay), *more = found
    ratios = []
    for number, (step, replay) in zip(keys[1:], more, strict=True):
        name = f"{keys[0]:,} keys"
        ratios.append(Ratio(f"keyed step among {number:,} keys", step, few_step, "ms", bar=1.5, baseline_name=name))
        ratios.append(Ratio(f"replay among {number:,} keys", replay, few_replay, "ms", bar=1.5, baseline_name=name))
    return ratios


def _interleaved(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Median milliseconds of each."""
    times: list[list[float]] = [[] for _ in works]
    for turn in range(WARM_UP + rounds):
        for work, spent in zip(works, times, strict=True):
            started = time.perf_counter()
            work()
            if turn >= WARM_UP:
                spent.append((time.perf_counter() - started) * 1000)
    return [statistics.median(spent) for spent in times]


def main() -> None:
    """Run it on an embedded server of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--keys", type=int, nargs="+", default=list(KEYS), help="numbers of keys, rising")
    parser.add_argument("--version", type=int, default=18)
    parser.add_argument("--bin-dir")
    options = parser.parse_args()
    settings = {"shared_buffers": "512MB", "max_wal_size": "4GB"}
    with start_postgres(version=options.version, bin_dir=options.bin_dir, settings=settings) as server:
        show(measure(server, options.rounds, tuple(sorted(options.keys))))


if __name__ == "__main__":
    main()
