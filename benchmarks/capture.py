"""What capture costs: the same statements without a journal, with ours, and with a jsonb row-trigger journal.

The jsonb journal stands for the common audit tools: one row of old and new jsonb a change. Wall time is what a user waits; CPU time
is what the server's process spent, which other work on the machine disturbs less (Linux only).
"""

from __future__ import annotations

import re
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

import journal
from benchmarks.measure import Ratio
from journal.embedded import PostgresServer
from journal.migrate import migrate

ROWS = 200_000
CHANGED = 50_000
OTHERS = 500_000
ROUNDS = 5
READS = 25
BARS = {"update": 2.5, "insert": 1.7, "delete": 3.3}
COMMIT_BARS = {"journal": 0.80, "agents": 0.95}
ROWS_PER_STATEMENT = (1, 10, 100, 1_000, 10_000, 100_000)
COLUMNS = (5, 50, 200)
WRITERS = (1, 4, 16)
SECONDS = 2
COMPARED = ("bare", "journal", "jsonb")
NAMES = {"journal": "journal", "agents": "journal, agents only, unbound", "jsonb": "jsonb row triggers"}

_COLUMNS = """
    id int primary key, name text not null, price numeric(12, 2) not null, stock int, note text,
    updated_at timestamptz default now(), weight float8, active boolean, category int"""
_ROWS = """
    insert into {table}
    select g, 'product ' || g, g * 1.1, g %% 100, repeat('note ', 10), now(), g / 3.0, true, g %% 7
      from generate_series(%s::int, %s::int) as g"""
_AUDIT = """
    create table audit (
        id bigint generated always as identity primary key, at timestamptz, who text, operation text, old jsonb, new jsonb
    );
    create function audit() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
    begin
        insert into audit (at, who, operation, old, new)
        values (now(), session_user, tg_op, case when tg_op <> 'INSERT' then to_jsonb(old) end,
                case when tg_op <> 'DELETE' then to_jsonb(new) end);
        return null;
    end $$"""
_AUDITED = "create trigger audit after insert or update or delete on {table} for each row execute function audit()"
_JOURNAL_BYTES = """
    select sum(pg_total_relation_size(c.oid))::bigint from pg_class c
     where c.relnamespace = 'journal'::regnamespace and c.relname ~ '^(segment_[0-9]+|statement)$'"""
_ONE_ROW = "\\set id random(1, 100000)\nupdate {table} set price = price + 1 where id = :id;\n"


@dataclass(frozen=True)
class Cost:
    """Milliseconds waited and computed, and bytes of WAL, of one piece of work."""

    wall: float
    cpu: float
    wal: float


Costs = dict[tuple[str, str], list[Cost]]


def run(server: PostgresServer) -> list[Ratio]:
    """All figures, on a database of its own."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("create database bench_capture")
        try:
            dsn = server.dsn("bench_capture")
            migrate(dsn)
            with psycopg.connect(dsn, autocommit=True) as conn:
                conn.execute(_AUDIT)
                _tables(conn, "bench", _COLUMNS, _ROWS, ROWS, agents=True)
                return [
                    *_bulk(conn),
                    *_commits(server, conn),
                    *_rows_per_statement(conn),
                    *_columns(conn),
                    *_large_value(conn),
                    *_reading(conn),
                ]
        finally:
            admin.execute("drop database bench_capture with (force)")


def _bulk(conn: psycopg.Connection) -> Iterator[Ratio]:
    """Bulk statements: time, CPU and WAL, and what an updated row takes in the journal."""
    costs: Costs = defaultdict(list)
    before = _sizes(conn)
    for _ in range(ROUNDS):
        for what, statement, parameters in (
            ("update", "update {table} set price = price + 1 where id <= %s", (CHANGED,)),
            ("insert", _ROWS, (ROWS + 1, ROWS + CHANGED)),
            ("delete", "delete from {table} where id > %s", (ROWS,)),
        ):
            for variant in ("bare", *NAMES):
                costs[what, variant].append(_cost(conn, _in(f"bench_{variant}", statement), parameters))
        conn.execute("vacuum bench_bare, bench_journal, bench_agents, bench_jsonb")
        conn.execute("checkpoint")
    for what, bar in BARS.items():
        yield from _compared(costs, what, f"{CHANGED:,}-row {what}", bar)
    images, audited = (new - old for new, old in zip(_sizes(conn), before, strict=True))
    rows = 3 * CHANGED * ROUNDS
    yield Ratio("stored for a changed row", images / rows, audited / rows, "bytes", baseline_name=NAMES["jsonb"])


def _commits(server: PostgresServer, conn: psycopg.Connection) -> Iterator[Ratio]:
    """Updates of one row each and their commits, by so many clients at once."""
    for writers in WRITERS:
        variants = ("bare", *NAMES) if writers == 4 else COMPARED
        rates: dict[str, list[float]] = defaultdict(list)
        for _ in range(ROUNDS):
            for variant in variants:
                rates[variant].append(_commit_rate(server, f"bench_{variant}", writers))
            conn.execute("vacuum bench_bare, bench_journal, bench_agents, bench_jsonb")
        for variant in variants[1:]:
            what = f"1-row update and commit, {writers} clients: {NAMES[variant]}"
            bar = COMMIT_BARS.get(variant) if writers == 4 else None
            ours, baseline = statistics.median(rates[variant]), statistics.median(rates["bare"])
            yield Ratio(what, ours, baseline, "tps", bar, more_is_better=True)


def _rows_per_statement(conn: psycopg.Connection) -> Iterator[Ratio]:
    """The same number of rows in few or in many statements."""
    for rows in ROWS_PER_STATEMENT:
        repeats = max(1, 200 // rows)
        costs: Costs = defaultdict(list)
        for _ in range(ROUNDS):
            for variant in COMPARED:
                statement = "update {table} set price = price + 1 where id between %s and %s"
                ranges = [(n * rows + 1, n * rows + rows) for n in range(repeats)]
                costs["update", variant].append(_cost(conn, _in(f"bench_{variant}", statement), *ranges))
            conn.execute("vacuum bench_bare, bench_journal, bench_jsonb")
        yield from _compared(costs, "update", f"{rows:,}-row update, {repeats} in a transaction")


def _columns(conn: psycopg.Connection) -> Iterator[Ratio]:
    """Tables of so many columns, half numbers and half texts."""
    for columns in COLUMNS:
        others = ", ".join(f"c{n} {'int' if n % 2 else 'text'}" for n in range(columns - 1))
        values = ", ".join("g" if n % 2 else "'value ' || g" for n in range(columns - 1))
        fill = f"insert into {{table}} select g, {values} from generate_series(%s::int, %s::int) as g"
        _tables(conn, f"wide_{columns}", f"id int primary key, {others}", fill, 5_000)
        costs: Costs = defaultdict(list)
        for _ in range(ROUNDS):
            for variant in COMPARED:
                statement = _in(f"wide_{columns}_{variant}", "update {table} set c1 = c1 + 1")
                costs["update", variant].append(_cost(conn, statement, ()))
        yield from _compared(costs, "update", f"5,000-row update of {columns} columns")


def _large_value(conn: psycopg.Connection) -> Iterator[Ratio]:
    """A small change beside a value of 1 MB that stays as it is: from 17 on the server shows that it did."""
    value = "(select string_agg(md5(n::text), '') from generate_series(1, 32768) as n)"
    fill = f"insert into {{table}} select g, {value}, '' from generate_series(%s::int, %s::int) as g"
    _tables(conn, "large", "id int primary key, big text, note text", fill, 50)
    costs: Costs = defaultdict(list)
    before = _sizes(conn)[0]
    for _ in range(ROUNDS):
        for variant in ("bare", "journal"):
            statement = "update {table} set note = repeat('x', 20) where id = %s"
            for n in range(1, 51):
                costs["update", variant].append(_cost(conn, _in(f"large_{variant}", statement), (n,)))
    shown = conn.info.server_version >= 170000
    yield from _compared(costs, "update", "20 bytes changed beside 1 MB, and commit", 1.3 if shown else None)
    images = (_sizes(conn)[0] - before) / (50 * ROUNDS)
    yield Ratio(
        "stored for 20 bytes changed beside 1 MB", images, 2_000, "bytes", 1.0 if shown else None, baseline_name="2 kB"
    )


def _reading(conn: psycopg.Connection) -> Iterator[Ratio]:
    """One session's changes, alone and among many images of others in the same segment."""
    conn.execute(
        "create table quiet (id int primary key, n int); insert into quiet select g, 0 from generate_series(1, 100000) as g"
    )
    journal.cover(conn, "quiet")
    with journal.open_session(conn, agent="bench") as session, session.step("work"):
        for n in range(100):
            conn.execute("update quiet set n = n + 1 where id = %s", (n,))
    read = "select * from journal.session_changes(%s)"
    conn.execute("vacuum analyze")
    alone = [_cost(conn, sql.SQL(read), (session.id,)).wall for _ in range(READS)]
    for _ in range(OTHERS // 100_000):
        conn.execute("update quiet set n = n + 1")
    conn.execute("vacuum analyze")
    among = [_cost(conn, sql.SQL(read), (session.id,)).wall for _ in range(READS)]
    what = f"reading 100 changes among {OTHERS:,} of others"
    yield Ratio(what, statistics.median(among), statistics.median(alone), "ms", 2.0, baseline_name="an empty segment")


def _tables(conn: psycopg.Connection, name: str, columns: str, fill: str, rows: int, *, agents: bool = False) -> None:
    """One table for each variant, filled alike."""
    for variant in (*COMPARED, "agents") if agents else COMPARED:
        table = f"{name}_{variant}"
        conn.execute(_in(table, f"create table {{table}} ({columns})"))
        conn.execute(_in(table, fill), (1, rows))
        if variant in ("journal", "agents"):
            journal.cover(conn, table, agents_only=variant == "agents")
        elif variant == "jsonb":
            conn.execute(_in(table, _AUDITED))
    conn.execute("vacuum analyze")
    conn.execute("checkpoint")


def _cost(conn: psycopg.Connection, statement: sql.Composed | sql.SQL, *parameters: Iterable[object]) -> Cost:
    """What it costs to run a statement once with each of the parameters, in one transaction."""
    position = "select pg_current_wal_insert_lsn() - '0/0'"
    wal, cpu, started = _number(conn, position), _cpu_milliseconds(conn.info.backend_pid), time.perf_counter()
    with conn.transaction():
        for values in parameters:
            conn.execute(statement, tuple(values), prepare=len(parameters) > 1)
    wall = (time.perf_counter() - started) * 1000
    return Cost(wall, _cpu_milliseconds(conn.info.backend_pid) - cpu, _number(conn, position) - wal)


def _cpu_milliseconds(pid: int) -> float:
    """CPU time of a process so far; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6
    except FileNotFoundError:
        return 0


def _compared(costs: Costs, what: str, name: str, bar: float | None = None) -> Iterator[Ratio]:
    """Each variant beside the bare table: wall time against the bar, then CPU and WAL."""
    for variant, title in NAMES.items():
        if (what, variant) not in costs:
            continue
        for unit, field in (("ms", "wall"), ("ms CPU", "cpu"), ("kB WAL", "wal")):
            ours, baseline = (statistics.median(getattr(c, field) for c in costs[what, v]) for v in (variant, "bare"))
            scale = 1024 if field == "wal" else 1
            held = bar if field == "wall" and variant == "journal" else None
            if baseline:
                yield Ratio(f"{name}: {title}", ours / scale, baseline / scale, unit, held)


def _commit_rate(server: PostgresServer, table: str, writers: int) -> float:
    """Transactions a second of pgbench, each an update of one row."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(_ONE_ROW.format(table=table))
        script.flush()
        command = [
            *(str(Path(server.bin_dir) / "pgbench"), "--no-vacuum", "--client", str(writers), "--jobs", "2"),
            *("--time", str(SECONDS), "--protocol", "prepared", "--file", script.name, server.dsn("bench_capture")),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if found is None:
        raise RuntimeError(f"pgbench printed no rate: {done.stdout}{done.stderr}")
    return float(found[1])


def _sizes(conn: psycopg.Connection) -> tuple[float, float]:
    """Bytes of the journal, of the jsonb journal."""
    return _number(conn, _JOURNAL_BYTES), _number(conn, "select pg_total_relation_size('audit')")


def _number(conn: psycopg.Connection, query: str) -> float:
    (row,) = conn.execute(query.encode()).fetchall()
    return float(row[0])


def _in(table: str, statement: str) -> sql.Composed:
    return sql.SQL(statement).format(table=sql.Identifier(table))
