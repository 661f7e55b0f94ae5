"""What capture costs: the same statements without a journal, with ours, and with a jsonb row-trigger journal.

`python -m benchmarks.capture [--rounds N] [--json]`. Ratios of medians within one run; rounds are interleaved, so that a noisy
machine disturbs all variants alike. The jsonb journal stands for the common audit tools: one row of old and new jsonb a change.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.measure import Ratio
from journal.embedded import PostgresServer, start_postgres
from journal.migrate import migrate

ROWS = 200_000
CHANGED = 50_000
CLIENTS = 4
ROUNDS = 5
BARS = {"update": 2.5, "insert": 1.7, "delete": 3.3, "commit": 0.80}
VARIANTS = ("bare", "journal", "jsonb")

_TABLE = """
    create table {table} (
        id int primary key, name text not null, price numeric(12, 2) not null, stock int, note text,
        updated_at timestamptz default now(), weight float8, active boolean, category int
    )"""
_ROWS = """
    insert into {table}
    select g, 'product ' || g, g * 1.1, g %% 100, repeat('note ', 10), now(), g / 3.0, true, g %% 7
      from generate_series(%s::int, %s::int) as g"""
_JSONB = """
    create table audit (
        id bigint generated always as identity primary key, at timestamptz, who text, operation text, old jsonb, new jsonb
    );
    create function audit() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
    begin
        insert into audit (at, who, operation, old, new)
        values (now(), session_user, tg_op, case when tg_op <> 'INSERT' then to_jsonb(old) end,
                case when tg_op <> 'DELETE' then to_jsonb(new) end);
        return null;
    end $$;
    create trigger audit after insert or update or delete on bench_jsonb for each row execute function audit()"""
_ONE_ROW = """
\\set id random(1, 100000)
update bench_{variant} set price = price + 1 where id = :id;
"""


@dataclass(frozen=True)
class Measurement:
    """One figure: `value` is milliseconds a statement or transactions a second, `ratio` is to the bare table."""

    what: str
    variant: str
    value: float
    ratio: float
    bar: float | None

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without one. A rate must not fall below its bar, a time must not rise above it."""
        if self.bar is None:
            return None
        return self.ratio >= self.bar if self.what == "commit" else self.ratio <= self.bar


def measure(server: PostgresServer, rounds: int) -> list[Measurement]:
    """All figures, on a database of its own on `server`."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("create database bench_capture")
    dsn = server.dsn("bench_capture")
    migrate(dsn, no_roles=True)
    with psycopg.connect(dsn, autocommit=True) as conn:
        _set_up(conn)
        times: dict[tuple[str, str], list[float]] = defaultdict(list)
        for _ in range(rounds):
            _bulk_round(conn, times)
            for variant in VARIANTS:
                times["commit", variant].append(_commit_rate(server, variant))
    return list(_ratios(times))


def run(server: PostgresServer) -> list[Ratio]:
    """The figures as `python -m benchmarks` prints them."""
    return [_as_ratio(found) for found in measure(server, ROUNDS) if found.variant != "bare"]


def _as_ratio(found: Measurement) -> Ratio:
    rate = found.what == "commit"
    work = "1-row update and commit, 4 clients" if rate else f"{CHANGED:,}-row {found.what}"
    name = {"journal": "journal", "jsonb": "jsonb row triggers"}[found.variant]
    baseline = found.value / found.ratio
    return Ratio(f"{work}: {name}", found.value, baseline, "tps" if rate else "ms", found.bar, more_is_better=rate)


def _set_up(conn: psycopg.Connection) -> None:
    for variant in VARIANTS:
        table = _table(variant)
        conn.execute(sql.SQL(_TABLE).format(table=table))
        conn.execute(sql.SQL(_ROWS).format(table=table), (1, ROWS))
    conn.execute("select journal.cover('bench_journal')")
    conn.execute(_JSONB)
    conn.execute("vacuum analyze")
    conn.execute("checkpoint")


def _bulk_round(conn: psycopg.Connection, times: dict[tuple[str, str], list[float]]) -> None:
    for variant in VARIANTS:
        table = _table(variant)
        statements = {
            "update": (sql.SQL("update {table} set price = price + 1 where id <= %s"), (CHANGED,)),
            "insert": (sql.SQL(_ROWS), (ROWS + 1, ROWS + CHANGED)),
            "delete": (sql.SQL("delete from {table} where id > %s"), (ROWS,)),
        }
        for what, (statement, parameters) in statements.items():
            started = time.perf_counter()
            conn.execute(statement.format(table=table), parameters)
            times[what, variant].append((time.perf_counter() - started) * 1000)
        conn.execute(sql.SQL("vacuum {table}").format(table=table))
    conn.execute("checkpoint")


def _commit_rate(server: PostgresServer, variant: str, seconds: int = 4) -> float:
    """Transactions a second of pgbench, each an update of one row."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(_ONE_ROW.format(variant=variant))
        script.flush()
        command = [
            *(str(Path(server.bin_dir) / "pgbench"), "--no-vacuum", "--client", str(CLIENTS), "--jobs", "2"),
            *("--time", str(seconds), "--protocol", "prepared", "--file", script.name, server.dsn("bench_capture")),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if found is None:
        raise RuntimeError(f"pgbench printed no rate: {done.stdout}{done.stderr}")
    return float(found[1])


def _ratios(times: dict[tuple[str, str], list[float]]) -> Iterator[Measurement]:
    for (what, variant), values in times.items():
        value = statistics.median(values)
        bar = BARS[what] if variant == "journal" else None
        yield Measurement(what, variant, value, value / statistics.median(times[what, "bare"]), bar)


def _table(variant: str) -> sql.Identifier:
    return sql.Identifier(f"bench_{variant}")


def show(measurements: list[Measurement]) -> None:
    """The figures as a table."""
    print(f"{'capture':10} {'variant':10} {'value':>12} {'ratio':>8} {'bar':>6}")
    for m in sorted(measurements, key=lambda m: list(BARS).index(m.what)):
        unit = "tps" if m.what == "commit" else "ms"
        verdict = {None: "", True: "met", False: "MISSED"}[m.met]
        print(f"{m.what:10} {m.variant:10} {m.value:9.1f} {unit:3} {m.ratio:7.2f}x {m.bar or '':>6} {verdict}")


def main() -> int:
    """Run it on an embedded server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--version", type=int, default=18)
    parser.add_argument("--bin-dir")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    settings = {"shared_buffers": "512MB", "max_wal_size": "4GB"}
    with start_postgres(version=options.version, bin_dir=options.bin_dir, settings=settings) as server:
        measurements = measure(server, options.rounds)
    if options.json:
        print(json.dumps([asdict(m) for m in measurements]))
    else:
        show(measurements)
    return 0


if __name__ == "__main__":
    sys.exit(main())
