"""A rollback among writers that do not wait for it: real connections, planned, tried and applied while they work.

Nothing here is replayed, as the order is the server's. What must hold anyway is checked: no update of others is lost, no row of
theirs goes with ours, what the report calls restored is restored and what it calls a conflict is untouched, and no writer is
ever chosen as the victim of a deadlock.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

import psycopg

import journal

WRITERS = 2
CHANGED, SHARED, DELETED, INSERTED = range(1, 61), range(1, 21), range(61, 71), range(101, 111)
EVERYBODY = [*CHANGED, *range(71, 81)]
SCENE = """
    create table item (id int primary key, mine int not null, theirs int not null default 0, shared int not null default 0);
    create table part (id int generated always as identity primary key, item int not null references item on delete cascade);
    insert into item (id, mine) select n, n from generate_series(1, 80) n;
    create sequence value start 1000;
    select journal.cover('item'), journal.cover('part')"""


@dataclass
class Work:
    """What one writer has committed."""

    added: Counter[int] = field(default_factory=Counter)
    shared: dict[int, int] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    parts: int = 0
    faults: list[str] = field(default_factory=list)


def check_in_parallel(dsn: str, seed: int, operations: int = 40) -> list[str]:
    """What did not hold of one rollback among writers, in a database of its own."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(SCENE.encode())
        session = _agent(conn)
        begun, done = threading.Barrier(WRITERS + 1), threading.Event()
        with ThreadPoolExecutor(WRITERS) as pool:
            writing = [pool.submit(_write, dsn, seed, number, operations, begun, done) for number in range(WRITERS)]
            begun.wait()
            try:
                report = _roll_back(conn, session)
            finally:
                done.set()
            works = [writer.result() for writer in writing]
        return [fault for work in works for fault in work.faults] + list(_wrong(conn, report, works))


def _agent(conn: psycopg.Connection) -> UUID:
    with journal.open_session(conn, agent="bot") as session, session.step("work"):
        conn.execute("update item set mine = mine + 100 where id <= 60")
        conn.execute("update item set shared = 1 where id <= 20")
        conn.execute("delete from item where id between 61 and 70")
        conn.execute("insert into item (id, mine) select n, n from generate_series(101, 110) n")
    return UUID(str(session.id))


def _roll_back(conn: psycopg.Connection, session: UUID) -> journal.RollbackReport:
    journal.plan_rollback(conn, session, on_conflict="skip")
    conn.execute("select journal.rollback_report(array[%s], on_conflict => 'skip', mode => 'dry_run')", [session])
    return journal.rollback(conn, session, on_conflict="skip")


def _write(dsn: str, seed: int, number: int, operations: int, begun: threading.Barrier, done: threading.Event) -> Work:
    """One writer: so many operations, and on until the rollback is done."""
    random, work = Random(f"{seed} {number}"), Work()
    with psycopg.connect(dsn, autocommit=True) as conn:
        begun.wait()
        made = 0
        while made < operations or not done.is_set():
            made += 1
            try:
                _one(conn, random, work, number)
            except psycopg.errors.ForeignKeyViolation:
                pass  # the rollback was first
            except psycopg.Error as error:
                work.faults.append(f"a writer met {error.sqlstate}: {error}")
    return work


def _one(conn: psycopg.Connection, random: Random, work: Work, number: int) -> None:
    """One transaction. Values of `shared` have one writer each, so that the last one is known."""
    dice = random.random()
    if dice < 0.7:
        ids = sorted(random.sample(EVERYBODY, random.choice((1, 1, 3))))
        with conn.transaction():
            changed = [conn.execute("update item set theirs = theirs + 1 where id = %s", [n]).rowcount for n in ids]
        work.added.update({n: rows for n, rows in zip(ids, changed, strict=True) if rows})
    elif dice < 0.8:
        mine = random.choice([n for n in SHARED if n % WRITERS == number])
        found = conn.execute(
            "update item set shared = nextval('value') where id = %s returning shared", [mine]
        ).fetchone()
        if found is not None:
            work.shared[mine] = found[0]
    elif dice < 0.95:
        work.parts += conn.execute("insert into part (item) values (%s)", [random.choice(INSERTED)]).rowcount
    else:
        gone = random.choice(CHANGED[50:])
        if conn.execute("delete from item where id = %s", [gone]).rowcount:
            work.deleted.add(gone)


def _wrong(conn: psycopg.Connection, report: journal.RollbackReport, works: list[Work]) -> Iterator[str]:
    found = {row[0]: row[1:] for row in conn.execute("select id, mine, theirs, shared from item").fetchall()}
    left = {int(c["key"]["id"]) for c in report.conflicts if c["table"] == "public.item"}
    added = sum((work.added for work in works), Counter[int]())
    shared = {n: value for work in works for n, value in work.shared.items()}
    deleted = {n for work in works for n in work.deleted}
    if report.rows["total"] != len(CHANGED) + len(DELETED) + len(INSERTED):
        yield f"{report.rows} do not add up"
    for n in EVERYBODY:
        kept = n in left
        wanted = (n + 100 if kept and n in CHANGED else n, added[n], shared.get(n, int(kept and n in SHARED)))
        yield from _differs(f"row {n} (conflict: {kept})", None if n in deleted else wanted, found.get(n))
    for n in DELETED:
        yield from _differs(f"deleted row {n}", (n, 0, 0), found.get(n))
    for n in INSERTED:
        yield from _differs(f"inserted row {n} (conflict: {n in left})", (n, 0, 0) if n in left else None, found.get(n))
    committed, there = sum(work.parts for work in works), conn.execute("select count(*) from part").fetchone()
    yield from _differs("parts", (committed,), there)


def _differs(what: str, wanted: object, found: object) -> Iterator[str]:
    if wanted != found:
        yield f"{what}: wanted {wanted}, found {found}"
