"""Random histories: images folded per transaction reproduce every committed state."""

from __future__ import annotations

from collections import Counter

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.journal.capture.support import cover, folded, held

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
    st.just("truncate t"),
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
_STEPS = st.lists(st.tuples(st.lists(_STATEMENTS, min_size=1, max_size=4), st.booleans()), min_size=1, max_size=8)
_TABLE = """
    create table t (
        id int primary key, v text, noted text,
        parent int references t on delete set null on update cascade deferrable initially deferred
    );
    create function note() returns trigger language plpgsql as $$
    begin
        if tg_when = 'BEFORE' then new.noted := coalesce(new.v, 'none'); return new; end if;
        update t set noted = 'after ' || coalesce(new.v, '') where id = new.id and new.v = 'b';
        return null;
    end $$;
    create trigger first before insert or update of v on t for each row execute function note();
    create trigger later after insert on t for each row execute function note()"""


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_images_reproduce_every_committed_state(conn: psycopg.Connection, steps: list[tuple[list[str], bool]]) -> None:
    conn.execute(f"drop table if exists t; drop function if exists note; {_TABLE}".encode())
    cover(conn, "t")
    for statements, commits in steps:
        run(conn, statements, commits=commits)
        assert narrowed(folded(conn, "t")) == narrowed(held(conn, "t"))


def run(conn: psycopg.Connection, statements: list[str], *, commits: bool) -> None:
    """One transaction; a statement that the server refuses is rolled back to the savepoint before it."""
    try:
        with conn.transaction(force_rollback=not commits):
            for statement in statements:
                try:
                    with conn.transaction():
                        conn.execute(statement.encode())
                except psycopg.DatabaseError as refused:
                    if (
                        (refused.sqlstate or "").startswith("JR")
                        and "TRUNCATE" not in str(refused)
                        and "shape" not in str(refused)
                    ):
                        raise
    except psycopg.errors.IntegrityError:
        pass  # a deferred constraint refused the commit


def narrowed(rows: Counter[frozenset[tuple[str, str | None]]]) -> Counter[frozenset[tuple[str, str | None]]]:
    """Without the column that comes and goes: adding it changes rows without writing them."""
    narrow: Counter[frozenset[tuple[str, str | None]]] = Counter()
    for row, count in rows.items():
        narrow[frozenset(pair for pair in row if pair[0] != "w")] += count
    return +narrow
