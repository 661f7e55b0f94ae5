"""Kinds of tables and of coverage: keys, generated and excluded columns, partitions, tables without a key, agents only."""

from __future__ import annotations

import psycopg
import pytest

from tests.journal.capture.support import bind, changes, cover, folded, held, one, open_session, rows, status

_VERSION = "select current_setting('server_version_num')::int"


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        ("a int, b text, v text, primary key (b, a)", "(a, b) values (1, 'b')"),
        ("a text primary key, v text", "(a) values ('Abc'), ('ABC')"),
        ("a int generated always as identity primary key, v text", "default values"),
        ("a uuid primary key default gen_random_uuid(), v text", "default values"),
        ("a timestamptz primary key default clock_timestamp(), v text", "default values"),
        ("a int, b int4range, v text, primary key (b, a)", "(a, b) values (1, '[1,3)'), (1, 'empty')"),
        (
            "v text, a smallint, unused text, b date, primary key (a, b) include (unused)",
            "(a, b) values (1, 'infinity')",
        ),
        ('"B" char(9), "a.b" name, v text, primary key ("B", "a.b")', "values ('x', 'y')"),
    ],
)
def test_keys_of_any_kind(conn: psycopg.Connection, columns: str, row: str) -> None:
    conn.execute(f"create table t ({columns})".encode())
    cover(conn, "t")
    conn.execute(f"insert into t {row}".encode())
    conn.execute("update t set v = 'y'")
    assert folded(conn, "t") == held(conn, "t")
    (key,) = {tuple(sorted(r["key"])) for r in rows(conn, "select key from journal.changes")}
    assert list(key) == sorted(one(conn, "select key_columns from journal.coverage"))


@pytest.mark.parametrize(
    ("key", "first", "second"),
    [
        ("mood", "ok", "sad"),
        ("short", "a", "b"),
        ("citext", "Abc", "ABC"),
        ("ltree", "Top.A", "Top.B"),
        ("vector", "[1,2]", "[1,3]"),
    ],
)
def test_keys_of_types_of_users(
    conn: psycopg.Connection, superuser_dsn: str, key: str, first: str, second: str
) -> None:
    """[15] Whatever their operators call equal, and wherever those operators are."""
    conn.execute("create type mood as enum ('ok', 'sad'); create domain short as text check (length(value) < 9)")
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        if key not in ("mood", "short"):
            if not one(admin, "select exists (select from pg_available_extensions where name = %s)", key):
                pytest.skip(f"this server has no {key}")
            admin.execute(f"create extension {key}".encode())
    conn.execute(f"create table t (id {key} primary key, v text)".encode())
    cover(conn, "t")
    conn.execute("insert into t values (%s, 'a')", (first,))
    conn.execute("update t set v = 'b'")
    conn.execute("update t set id = %s", (second,))
    assert [(before["id"], after["id"]) for _, before, after in changes(conn, "t")[1:] if before and after] == [
        (first, first), (first, second),
    ]  # fmt: skip
    assert folded(conn, "t") == held(conn, "t")
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        admin.execute(f"drop {'extension' if key not in ('mood', 'short') else 'type'} {key} cascade".encode())
    conn.execute("insert into t values ('the key went with its type')")
    assert status(conn, "t") == "stale"


def test_generated_columns_are_left_to_the_server(conn: psycopg.Connection) -> None:
    """[25] Virtual ones are NULL in transition tables."""
    virtual = ", w int generated always as (a * 3) virtual" if one(conn, _VERSION) >= 180000 else ""
    conn.execute(
        f"create table t (id int primary key, a int, s int generated always as (a * 2) stored{virtual})".encode()
    )
    cover(conn, "t")
    conn.execute("insert into t values (1, 5); update t set a = 6")
    assert changes(conn, "t")[1] == ("UPDATE", {"id": "1", "a": "5"}, {"id": "1", "a": "6"})


def test_excluded_columns_never_reach_the_journal(conn: psycopg.Connection, superuser_dsn: str) -> None:
    conn.execute("create table t (id int primary key, name text, password text)")
    cover(conn, "t", exclude=["password"])
    conn.execute("insert into t values (1, 'a', 'hunter2'); update t set password = 'hunter3'; delete from t")
    assert one(conn, "select excluded_columns from journal.coverage") == ["password"]
    assert all("password" not in (before or after or {}) for _, before, after in changes(conn, "t"))
    with psycopg.connect(superuser_dsn) as admin:
        assert "hunter" not in str(rows(admin, "select * from journal.segment_1"))
    cover(conn, "t")
    conn.execute("insert into t values (2, 'b', 'seen')")
    assert changes(conn, "t")[-1][2] == {"id": "2", "name": "b", "password": "seen"}


def test_excluded_columns_are_left_out_of_rows_that_are_kept_whole(
    conn: psycopg.Connection, superuser_dsn: str
) -> None:
    """A stale table is recorded in its unknown shape; its secrets are not, renamed or numbered otherwise in a partition."""
    conn.execute("create table p (id int primary key, password text, name text) partition by range (id)")
    conn.execute("create table p1 (gone int, name text, id int not null, password text)")
    conn.execute("alter table p1 drop column gone; alter table p attach partition p1 for values from (0) to (9)")
    cover(conn, "p", exclude=["password"])
    conn.execute("alter table p rename column password to pass; alter table p add column note text")
    conn.execute("insert into p values (1, 'hunter2', 'a'); update p1 set pass = 'hunter3', name = 'b'; delete from p")
    assert status(conn, "p") == "stale"
    found = changes(conn, "p")
    assert found[2][1] == {"id": "1", "name": "b", "note": None}
    cover(conn, "p", exclude=["pass"])
    assert status(conn, "p") == "covered"
    assert changes(conn, "p") == found
    with psycopg.connect(superuser_dsn) as admin:
        names = rows(admin, "select format('journal.segment_%s', segment_id) as name from journal.segment")
        assert "hunter" not in str([rows(admin, f"select * from {r['name']}") for r in names])


@pytest.mark.parametrize(("exclude", "reason"), [(["id"], "key"), (["id", "v"], "key")])
def test_the_key_cannot_be_excluded(conn: psycopg.Connection, exclude: list[str], reason: str) -> None:
    conn.execute("create table t (id int primary key, v text)")
    with pytest.raises(psycopg.DatabaseError, match=reason):
        cover(conn, "t", exclude=exclude)


def test_tables_without_a_key_are_recorded_but_not_undone(conn: psycopg.Connection) -> None:
    conn.execute("create table t (a int, b text)")
    found = rows(conn, "select status, reason, fix from journal.coverage")[0]
    assert (found["status"], found["fix"]) == ("uncovered", "journal cover public.t --audit-only")
    assert "no primary key" in found["reason"]
    cover(conn, "t", undo=False)
    assert rows(conn, "select status, undo, key_columns from journal.coverage") == [
        {"status": "covered", "undo": False, "key_columns": []}
    ]
    conn.execute("insert into t values (1, 'x'), (1, 'x'), (null, null)")
    conn.execute("update t set b = 'y' where a = 1")
    conn.execute("delete from t where a is null; update t set a = 2; truncate t")
    assert [len([c for c in changes(conn, "t") if c[0] == o]) for o in ("INSERT", "UPDATE", "DELETE", "TRUNCATE")] == [
        3,
        4,
        1,
        2,
    ]
    assert changes(conn, "t")[2][1:] in [(None, {"a": None, "b": None}), (None, {"a": "1", "b": "x"})]
    assert folded(conn, "t") == held(conn, "t")


def test_a_key_that_is_dropped_makes_coverage_stale(conn: psycopg.Connection) -> None:
    conn.execute("create table t (id int primary key, v text)")
    cover(conn, "t")
    conn.execute("alter table t drop constraint t_pkey")
    assert status(conn, "t") == "stale"
    conn.execute("insert into t values (1, 'a')")
    cover(conn, "t", undo=False)
    assert status(conn, "t") == "covered"


def test_agents_only_records_bound_transactions(conn: psycopg.Connection) -> None:
    conn.execute("create table t (id int primary key, v text)")
    cover(conn, "t", writers="agents")
    assert one(conn, "select writers from journal.coverage") == "agents"
    conn.execute("insert into t select g, 'x' from generate_series(1, 9) as g")
    session = open_session(conn)
    with conn.transaction():
        conn.execute("update t set v = 'before' where id = 1")
        bind(conn, session)
        conn.execute("update t set v = 'bound' where id = 2")
    conn.execute("update t set v = 'after' where id = 3")
    assert [(operation, after and after["id"]) for operation, _, after in changes(conn, "t")] == [("UPDATE", "2")]


def test_nobody_can_pretend_to_be_bound_or_unbound(conn: psycopg.Connection) -> None:
    """[30] The setting that says so is keyed with a secret."""
    conn.execute("create table t (id int primary key)")
    cover(conn, "t", writers="agents")
    session = open_session(conn)
    with conn.transaction():
        bind(conn, session)
        token = one(conn, "select current_setting('journal.binding')")
        conn.execute("insert into t values (1)")
    with conn.transaction():
        conn.execute("select set_config('journal.binding', %s, true)", (token,))
        conn.execute("insert into t values (2)")
    assert [after for _, _, after in changes(conn, "t")] == [{"id": "1"}]


@pytest.fixture
def measure(conn: psycopg.Connection) -> str:
    """A tree of three levels; one leaf orders and numbers its columns otherwise."""
    conn.execute("create table measure (id int, day int, v text, primary key (id, day)) partition by range (day)")
    conn.execute("create table early partition of measure for values from (0) to (10) partition by range (id)")
    conn.execute("create table early_low partition of early for values from (0) to (100)")
    conn.execute("create table late (gone int, v text, day int not null, id int not null, primary key (id, day))")
    conn.execute(
        "alter table late drop column gone; alter table measure attach partition late for values from (10) to (20)"
    )
    cover(conn, "measure")
    return "measure"


def test_every_level_of_a_partition_tree_is_captured(conn: psycopg.Connection, measure: str) -> None:
    """[9] A statement fires the triggers of the relation that it names, and of no other."""
    conn.execute("insert into measure values (1, 1, 'root'), (2, 11, 'root')")
    conn.execute("insert into early values (3, 3, 'mid')")
    conn.execute("insert into early_low values (4, 4, 'leaf')")
    conn.execute("insert into late (id, day, v) values (5, 15, 'leaf')")
    conn.execute("update late set v = 'other' where id = 5")
    conn.execute("update measure set v = v || '!'")
    conn.execute("delete from early where id = 3")
    assert folded(conn, measure) == held(conn, measure)
    assert {r["table_name"] for r in rows(conn, "select table_name from journal.statements")} == {"public.measure"}
    assert {r["status"] for r in rows(conn, "select status from journal.coverage")} == {"covered"}


def test_a_merge_into_partitions_shows_every_row_that_it_updated(conn: psycopg.Connection, measure: str) -> None:
    """The server shows the row inserted last instead, unless a BEFORE INSERT trigger for rows makes it look at each row."""
    conn.execute("create table late_2 partition of measure for values from (20) to (30)")
    cover(conn, measure)
    conn.execute("insert into measure values (1, 1, 'a'), (5, 15, 'a'), (6, 25, 'a')")
    conn.execute("set enable_hashjoin = off; set enable_mergejoin = off")
    conn.execute("""merge into measure using (values (0, 0), (1, 1), (5, 15), (6, 25)) as v (id, day)
                       on measure.id = v.id and measure.day = v.day
                    when matched then update set v = 'b' when not matched then insert values (v.id, v.day, 'new')""")
    updated = {after["id"] for operation, _, after in changes(conn, measure) if operation == "UPDATE" and after}
    assert updated == {"1", "5", "6"}
    assert folded(conn, measure) == held(conn, measure)


def test_covered_trees_are_attached_to_covered_trees(conn: psycopg.Connection, measure: str) -> None:
    """No trigger of ours may be in the way of a user's DDL."""
    conn.execute("create table other (id int, day int, v text, primary key (id, day)) partition by range (id)")
    conn.execute("create table other_low partition of other for values from (0) to (100)")
    cover(conn, "other")
    conn.execute("alter table measure attach partition other for values from (20) to (30)")
    cover(conn, measure)
    conn.execute("insert into measure values (1, 21, 'x')")
    assert folded(conn, measure) == held(conn, measure)
    conn.execute("alter table measure detach partition other")
    conn.execute("select journal.uncover('measure'), journal.uncover('other')")
    assert one(conn, "select count(*) from pg_trigger where tgname like 'journal%%'") == 0


def test_a_row_that_moves_between_partitions_is_one_update(conn: psycopg.Connection, measure: str) -> None:
    conn.execute("insert into measure values (1, 1, 'x')")
    conn.execute("update measure set day = 12")
    assert changes(conn, measure)[1:] == [
        ("UPDATE", {"id": "1", "day": "1", "v": "x"}, {"id": "1", "day": "12", "v": "x"})
    ]


def test_truncate_of_a_partition_tree_records_each_row_once(conn: psycopg.Connection, measure: str) -> None:
    """[7] Parent and leaves both fire; the leaves capture."""
    conn.execute("insert into measure values (1, 1, 'x'), (2, 12, 'y')")
    conn.execute("truncate measure")
    assert folded(conn, measure) == held(conn, measure)
    assert len(changes(conn, measure)) == 4


def test_a_partition_attached_later_is_a_gap_until_cover(conn: psycopg.Connection, measure: str) -> None:
    conn.execute("create table later partition of measure for values from (20) to (30)")
    (shown,) = rows(conn, "select status, reason, fix from journal.coverage where table_name = 'public.later'")
    assert (shown["status"], shown["fix"]) == ("gap", "journal cover public.measure")
    assert "later" in shown["reason"]
    cover(conn, measure)
    conn.execute("insert into later values (1, 21, 'x')")
    assert len(changes(conn, measure)) == 1
    assert status(conn, measure) == "covered"


def test_a_detached_partition_no_longer_writes_for_the_tree(conn: psycopg.Connection, measure: str) -> None:
    conn.execute("insert into late (id, day) values (1, 11)")
    conn.execute("alter table measure detach partition late")
    assert (status(conn, "late"), status(conn, measure)) == ("gap", "covered")
    conn.execute("insert into late (id, day) values (2, 12); update late set v = 'x'; truncate late")
    conn.execute("select journal.uncover('late')")
    conn.execute("insert into late (id, day) values (3, 13)")
    assert len(changes(conn, measure)) == 1


def test_a_migration_of_a_partition_tree_leaves_no_hole(conn: psycopg.Connection, measure: str) -> None:
    conn.execute("alter table measure add column w int default 7")
    conn.execute("insert into measure values (1, 1, 'x')")
    conn.execute("insert into late (id, day, v, w) values (5, 15, 'leaf', 8)")
    before = changes(conn, measure)
    assert [after for _, _, after in before] == [
        {"id": "1", "day": "1", "v": "x", "w": "7"},
        {"id": "5", "day": "15", "v": "leaf", "w": "8"},
    ]
    assert status(conn, "late") == "stale"
    cover(conn, measure)
    assert changes(conn, measure) == before


def test_partitions_are_covered_as_part_of_their_table(conn: psycopg.Connection, measure: str) -> None:
    with pytest.raises(psycopg.DatabaseError, match=r"cover public\.measure"):
        cover(conn, "late")
    conn.execute("select journal.uncover('measure')")
    assert {r["status"] for r in rows(conn, "select status from journal.coverage")} == {"uncovered"}
    conn.execute("insert into late (id, day) values (1, 11)")
    assert changes(conn, measure) == []
