"""Random schemas and histories of several sessions: images folded per transaction reproduce every committed state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.journal.capture.support import Image, changes, cover, held

Rows = Counter[frozenset[tuple[str, str | None]]]

_KEYS = st.integers(1, 6)
_VALUES = st.sampled_from(["null", "'a'", "'b'", "''", "'1.50'"])
_WHERE = st.one_of(
    st.builds("id = {}".format, _KEYS),
    st.builds("id % 2 = {}".format, st.integers(0, 1)),
    st.sampled_from(["true", "v is null"]),
)
_STATEMENTS = st.one_of(
    st.builds(
        "insert into t (id, v) values ({}, {}) on conflict (id) do update set v = excluded.v".format, _KEYS, _VALUES
    ),
    st.builds(
        "insert into t (id, v) select g, {} from generate_series({}, 6) as g on conflict do nothing".format,
        _VALUES,
        _KEYS,
    ),
    st.builds("update t set v = {} where {}".format, _VALUES, _WHERE),
    st.builds("update t set id = 7 - id where {}".format, _WHERE),
    st.builds("update t set parent = {} where {}".format, _KEYS, _WHERE),
    st.builds("delete from t where {}".format, _WHERE),
    st.builds(
        "merge into t using generate_series({}, 6) as g on id = g when matched and v is null then delete "
        "when matched then update set v = v || '!' when not matched then insert (id, v) values (g, {})".format,
        _KEYS,
        _VALUES,
    ),
    st.builds(
        "insert into child select g, g, 'c' from generate_series({}, 6) as g on conflict do nothing".format, _KEYS
    ),
    st.builds("update child set v = v || id where {}".format, _WHERE),
    st.sampled_from(["truncate t cascade", "truncate child"]),
    st.sampled_from(
        [
            "alter table t add column if not exists w int default 3",
            "alter table t drop column if exists w",
            "alter table t alter column v type varchar(9)",
            "alter table t rename v to x; alter table t rename x to v",
            "select journal.cover('t')",
        ]
    ),
)
_TRIGGERS = [
    "create trigger first before insert or update of v on t for each row execute function note()",
    "create trigger later after insert on t for each row execute function note()",
    "create trigger children after delete on child for each row execute function orphan()",
]
_FUNCTIONS = """
    create function note() returns trigger language plpgsql as $$
    begin
        if tg_when = 'BEFORE' then new.noted := coalesce(new.v, 'none'); return new; end if;
        update t set noted = 'after ' || coalesce(new.v, '') where id = new.id and new.v = 'b';
        return null;
    end $$;
    create function orphan() returns trigger language plpgsql as $$
    begin
        insert into child values (old.id + 100, null, 'of ' || old.id) on conflict do nothing;
        return null;
    end $$;"""


@dataclass(frozen=True)
class Schema:
    """A table that refers to itself, and a child of it."""

    key: str
    partitioned: bool
    triggers: tuple[str, ...]
    action: str

    @property
    def ddl(self) -> Iterator[str]:
        yield "drop table if exists child, t; drop function if exists note, orphan"
        yield f"""create table t (
            v text, id {self.key} primary key, noted text,
            parent {self.key} references t on delete set null on update cascade deferrable initially deferred
        ) {"partition by range (id)" if self.partitioned else ""}"""
        if self.partitioned:
            yield "create table low partition of t for values from (minvalue) to (3)"
            yield f"create table high (noted text, gone int, id {self.key} not null, v text, parent {self.key})"
            yield "alter table high drop column gone"
            yield "alter table t attach partition high for values from (3) to (maxvalue)"
        yield f"""create table child (
            id int primary key, t {self.key} references t on delete {self.action} on update cascade, v text)"""
        yield _FUNCTIONS
        yield from self.triggers


@dataclass(frozen=True)
class Turn:
    """What one of the sessions does next: it begins a transaction if none is open."""

    who: int
    statements: list[str]
    end: str
    isolation: str


_SCHEMAS = st.builds(
    Schema,
    st.sampled_from(["int", "bigint", "numeric"]),
    st.booleans(),
    st.lists(st.sampled_from(_TRIGGERS), unique=True).map(tuple),
    st.sampled_from(["cascade", "set null"]),
)
_TURNS = st.builds(
    Turn,
    st.integers(0, 1),
    st.lists(_STATEMENTS, min_size=1, max_size=4),
    st.sampled_from(["commit", "commit", "rollback", ""]),
    st.sampled_from(["read committed", "read committed", "repeatable read"]),
)


@pytest.fixture
def sessions(dsn: str) -> Iterator[list[psycopg.Connection]]:
    with psycopg.connect(dsn, autocommit=True) as first, psycopg.connect(dsn, autocommit=True) as second:
        for session in (first, second):
            session.execute("set lock_timeout = '10ms'")
        yield [first, second]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schema=_SCHEMAS, turns=st.lists(_TURNS, min_size=1, max_size=8))
def test_images_reproduce_every_committed_state(
    conn: psycopg.Connection, sessions: list[psycopg.Connection], schema: Schema, turns: list[Turn]
) -> None:
    for session in sessions:
        session.execute("rollback")
    conn.execute("set lock_timeout = '10ms'")
    for ddl in schema.ddl:
        conn.execute(ddl.encode())
    for table in ("t", "child"):
        cover(conn, table)
    for turn in turns:
        take(sessions[turn.who], turn)
        if turn.end == "commit":
            with suppress(psycopg.errors.LockNotAvailable):  # the other session is changing the table's schema
                check(conn)
    for session in sessions:
        session.execute("rollback")
    check(conn)


def take(session: psycopg.Connection, turn: Turn) -> None:
    """A statement that the server refuses is rolled back to the savepoint before it."""
    if session.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
        session.execute(f"begin isolation level {turn.isolation}".encode())
    for statement in turn.statements:
        session.execute("savepoint before")
        try:
            session.execute(statement.encode())
        except psycopg.DatabaseError as refused:
            if (
                (refused.sqlstate or "").startswith("JR")
                and "TRUNCATE" not in str(refused)
                and "shape" not in str(refused)
            ):
                raise
            session.execute("rollback to before")
    with suppress(psycopg.errors.IntegrityError):  # a deferred constraint refuses the commit
        session.execute(turn.end.encode())


def check(conn: psycopg.Connection) -> None:
    """What is visible of the journal amounts to what is visible of the tables."""
    for table in ("t", "child"):
        net: Rows = Counter()
        for _, before, after in changes(conn, table):
            net.update([narrowed(after)] if after else [])
            net.subtract([narrowed(before)] if before else [])
        stored: Rows = Counter()
        for row, times in held(conn, table).items():
            stored[narrowed(dict(row))] += times
        assert {row: times for row, times in net.items() if times} == stored


def narrowed(image: Image) -> frozenset[tuple[str, str | None]]:
    """Without the column that comes and goes: adding it changes rows without writing them."""
    return frozenset((name, value) for name, value in image.items() if name != "w")
