"""Covering, uncovering, and what `journal.coverage` says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

import journal
from tests import rig
from tests.journal.capture.support import changes, cover, one, rows, status


@pytest.fixture
def t(conn: psycopg.Connection) -> str:
    conn.execute("create table t (id int primary key, v text)")
    return "t"


def coverage(conn: psycopg.Connection, table: str) -> dict[str, Any]:
    (row,) = rows(conn, "select * from journal.coverage where relation = %s::regclass", table)
    return row


def test_cover_tells_what_it_found_and_made(conn: psycopg.Connection, t: str) -> None:
    assert coverage(conn, t)["status"] == "uncovered"
    assert coverage(conn, t)["fix"] == "journal cover public.t"
    done = cover(conn, t)
    assert (done["table"], done["before"]["status"], done["after"]["status"]) == ("public.t", "uncovered", "covered")
    shown = coverage(conn, t)
    assert shown["relation"] == "t"
    assert (shown["status"], shown["reason"], shown["fix"]) == ("covered", None, None)
    assert (shown["writers"], shown["undo"], shown["key_columns"]) == ("all", True, ["id"])
    assert shown["covered_at"] is not None
    assert shown["oldest_image_at"] is not None


def test_covering_again_changes_nothing(conn: psycopg.Connection, t: str) -> None:
    cover(conn, t)
    queries = ("select * from journal.segments", "select xmin, * from pg_trigger where tgrelid = 't'::regclass")
    before = [rows(conn, query) for query in queries]
    done = cover(conn, t)
    assert done["before"] == done["after"] == {"status": "covered"}
    assert before == [rows(conn, query) for query in queries]


def test_options_are_brought_to_the_present(conn: psycopg.Connection, t: str) -> None:
    cover(conn, t)
    cover(conn, t, counters=["id"], maintained=["v"])
    shown = coverage(conn, t)
    assert (shown["counter_columns"], shown["maintained_columns"]) == (["id"], ["v"])
    cover(conn, t)
    assert coverage(conn, t)["maintained_columns"] == []


def test_unknown_columns_are_named(conn: psycopg.Connection, t: str) -> None:
    with pytest.raises(psycopg.errors.UndefinedColumn, match="colour"):
        cover(conn, t, maintained=["colour"])
    assert status(conn, t) == "uncovered"


def test_uncover_keeps_what_was_recorded(conn: psycopg.Connection, t: str) -> None:
    cover(conn, t)
    conn.execute("insert into t values (1)")
    conn.execute("select journal.uncover('t')")
    conn.execute("insert into t values (2)")
    assert status(conn, t) == "uncovered"
    assert len(changes(conn, t)) == 1
    conn.execute("select journal.uncover('t')")
    cover(conn, t)
    conn.execute("insert into t values (3)")
    assert len(changes(conn, t)) == 2


@pytest.mark.parametrize(
    "harm",
    [
        "alter table t disable trigger journal_update",
        "alter table t disable trigger all; alter table t enable trigger all",
        "alter table t disable trigger user",
        "drop trigger journal_insert on t",
        "alter table t enable replica trigger journal_delete",
    ],
)
def test_a_gap_is_seen_and_mended(conn: psycopg.Connection, superuser_dsn: str, t: str, harm: str) -> None:
    """[38] A trigger that was disabled and enabled again looks the same, but its xmin does not."""
    cover(conn, t)
    with psycopg.connect(superuser_dsn) as admin:
        admin.execute(harm.encode())
    shown = coverage(conn, t)
    assert (shown["status"], shown["fix"]) == ("gap", "journal cover public.t")
    assert shown["reason"]
    assert shown["gap_since"] == shown["covered_at"]
    cover(conn, t)
    assert status(conn, t) == "covered"
    conn.execute("insert into t values (1); update t set v = 'x'; delete from t")
    assert len(changes(conn, t)) == 3
    with psycopg.connect(superuser_dsn) as admin:
        query = "select relation::text, from_at < until_at as ended from journal.gap"
        assert rows(admin, query) == [{"relation": t, "ended": True}]


@pytest.mark.parametrize(
    ("ddl", "reason"),
    [
        ("create view x as select 1 as id", "view"),
        ("create materialized view x as select 1 as id", "materialized view"),
        ("create table x (id int)", "no primary key"),
        ("create temp table x (id int primary key)", "temporary"),
        ("create unlogged table x (id int primary key)", "unlogged"),
        ("create table y (id int primary key); create table x () inherits (y)", "inheritance"),
        ("create table x (id int primary key); create rule r as on delete to x do instead nothing", "rule"),
        ("create sequence x", "not a table"),
    ],
)
def test_what_cannot_be_covered_is_refused_with_the_reason(conn: psycopg.Connection, ddl: str, reason: str) -> None:
    conn.execute(ddl.encode())
    with pytest.raises(psycopg.DatabaseError, match=reason) as refused:
        cover(conn, "x")
    assert refused.value.sqlstate == "JR030"


def test_foreign_partitions_are_refused_and_named_where_they_come_later(
    conn: psycopg.Connection, superuser_dsn: str
) -> None:
    """[10] The server does not show their changes to triggers. Only tables without a key can have any."""
    conn.execute("create table p (id int) partition by range (id)")
    cover(conn, "p", undo=False)
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        admin.execute("create foreign data wrapper nothing; create server s foreign data wrapper nothing")
        admin.execute("create foreign table f partition of p for values from (9) to (19) server s")
    shown = coverage(conn, "p")
    assert (shown["status"], shown["reason"]) == ("gap", "its partition public.f was attached after it was covered")
    with pytest.raises(psycopg.DatabaseError, match="foreign partition"):
        cover(conn, "p", undo=False)


@pytest.mark.parametrize("ddl", ["create table heir (x int) inherits (t)", "alter table t inherit ancestor"])
def test_inheritance_that_comes_later_is_a_gap(conn: psycopg.Connection, t: str, ddl: str) -> None:
    """[10] Statements that name one of the two tables change rows of the other, unseen by its triggers."""
    cover(conn, t)
    conn.execute("create table ancestor (id int not null)")
    conn.execute(ddl.encode())
    shown = coverage(conn, t)
    assert (shown["status"], "made to inherit" in shown["reason"]) == ("gap", True)


@pytest.mark.parametrize(
    ("ddl", "reason"),
    [
        ("alter table t set unlogged", "it is unlogged"),
        ("create rule twice as on update to t do also select 1", "a rule rewrites its statements"),
    ],
)
def test_a_table_that_became_one_that_cover_refuses_is_stale(
    conn: psycopg.Connection, t: str, ddl: str, reason: str
) -> None:
    cover(conn, t)
    conn.execute(ddl.encode())
    shown = coverage(conn, t)
    assert (shown["status"], reason in shown["reason"]) == ("stale", True)


@pytest.mark.parametrize("table", ["journal.session", "outbox.message", "pg_catalog.pg_class"])
def test_neither_the_journal_nor_the_catalogs_are_covered(conn: psycopg.Connection, table: str) -> None:
    with pytest.raises(psycopg.DatabaseError) as refused:
        cover(conn, table)
    assert refused.value.sqlstate == "JR030"


@pytest.mark.parametrize(("columns", "column_type"), [(600, "bigint"), (701, "text")])
def test_tables_too_wide_are_refused_at_cover(conn: psycopg.Connection, columns: int, column_type: str) -> None:
    """[11] Not at the user's write."""
    many = ", ".join(f"c{n} {column_type}" for n in range(columns))
    conn.execute(f"create table wide (id int primary key, {many})".encode())
    with pytest.raises(psycopg.DatabaseError, match=r"too (wide|many)"):
        cover(conn, "wide")
    assert coverage(conn, "wide")["status"] == "uncoverable"


@pytest.mark.parametrize(("columns", "column_type"), [(300, "bigint"), (215, "text")])
def test_the_widest_tables_that_are_covered_can_be_written(
    conn: psycopg.Connection, columns: int, column_type: str
) -> None:
    names = [f"c{n}" for n in range(columns)]
    conn.execute(f"create table wide (id int primary key, {', '.join(f'{n} {column_type}' for n in names)})".encode())
    cover(conn, "wide")
    value = "9223372036854775807" if column_type == "bigint" else "repeat('x', 15)"
    conn.execute(f"insert into wide select 1, {', '.join([value] * columns)}".encode())
    conn.execute("update wide set c0 = c0")
    assert len(changes(conn, "wide")) == 2


def test_only_the_owner_covers(postgres: rig.Cluster, database: str, superuser_dsn: str, t: str) -> None:
    stranger = postgres.create_role()
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        admin.execute(f"grant journal_operator to {stranger}; grant all on t to {stranger}".encode())
        admin.execute(
            "create function wrapped() returns jsonb security definer language sql as $$ select journal.cover('t') $$"
        )
        with psycopg.connect(postgres.dsn(database, role=stranger), autocommit=True) as other:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                cover(other, "t")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                other.execute("select journal.make_segment('t', null)")
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="must be owner"):
                other.execute("select wrapped()")
        admin.execute(f"alter table t owner to {stranger}; grant create on schema public to {stranger}".encode())
        with psycopg.connect(postgres.dsn(database, role=stranger), autocommit=True) as owner:
            cover(owner, "t")
            owner.execute("insert into t values (1)")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                owner.execute("select * from journal.segment_1")
        assert one(admin, "select count(*) from journal.statements") == 1
        admin.execute(f"drop owned by {stranger}; drop role {stranger}".encode())
    assert t


def test_a_capture_function_on_another_table_records_nothing(conn: psycopg.Connection, t: str) -> None:
    cover(conn, t)
    conn.execute("create table u (id int primary key, v text)")
    capture = one(conn, "select tgfoid::regproc::text from pg_trigger where tgname = 'journal_insert'")
    conn.execute(
        f"create trigger x after insert on u referencing new table as new_rows execute function {capture}()".encode()
    )
    with pytest.raises(psycopg.DatabaseError) as refused:
        conn.execute("insert into u values (1, 'forged')")
    assert refused.value.sqlstate == "JR031"


def test_what_is_recorded_only_is_left_and_named_by_a_rollback(conn: psycopg.Connection, t: str) -> None:
    conn.execute("create table log (n int)")
    cover(conn, "log", undo=False)
    cover(conn, t)
    with journal.open_session(conn, agent="bot") as session, session.step("work"):
        conn.execute("insert into log values (1); insert into t values (1)")
    with pytest.raises(journal.RollbackConflict):
        journal.rollback(conn, session)
    report = journal.rollback(conn, session, on_conflict="skip")
    assert [(c["table"], c["reason"], c["theirs"]) for c in report.conflicts] == [
        ("public.log", "coverage_gap", "public.log is recorded only, not to be undone")
    ]
    assert one(conn, "select (select count(*) from log) - (select count(*) from t)") == 1


def test_every_table_is_listed_once(conn: psycopg.Connection, t: str) -> None:
    conn.execute("create table p (id int primary key) partition by range (id)")
    conn.execute("create table p1 partition of p for values from (1) to (9)")
    listed = rows(conn, "select table_name, status from journal.coverage order by 1")
    assert [r["table_name"] for r in listed] == ["public.p", "public.p1", "public.t"]
    assert {r["status"] for r in listed} <= {"covered", "stale", "gap", "uncovered", "uncoverable"}
    assert t


def test_a_fix_keeps_the_options(conn: psycopg.Connection, t: str) -> None:
    """A table covered anew without its options would begin to record its secrets."""
    conn.execute("alter table t add column secret text, add column n int")
    options = {
        "writers": "agents",
        "undo": False,
        "exclude": ["secret"],
        "counters": ["n"],
        "truncate": "refuse",
        "strict": True,
    }
    cover(conn, t, **options)
    kept = ("writers", "undo", "truncate", "excluded_columns", "counter_columns", "maintained_columns")
    before = {name: coverage(conn, t)[name] for name in kept}
    conn.execute("alter table t add column more int")
    assert coverage(conn, t)["fix"] == (
        "journal cover public.t --agents-only --audit-only --strict --exclude secret --counter n --truncate refuse"
    )
    conn.execute("select journal.cover_again('t')")
    assert status(conn, t) == "covered"
    assert {name: coverage(conn, t)[name] for name in kept} == before


@pytest.fixture
def operator(postgres: rig.Cluster, database: str, superuser_dsn: str) -> Iterator[psycopg.Connection]:
    """Somebody who may run the journal, and owns no table."""
    name = postgres.create_role()
    with psycopg.connect(superuser_dsn) as admin:
        admin.execute(f"grant journal_operator to {name}".encode())
    with psycopg.connect(postgres.dsn(database, role=name), autocommit=True) as connection:
        yield connection


def test_only_the_owner_of_a_table_seals_or_forgets_its_coverage(
    conn: psycopg.Connection, operator: psycopg.Connection, t: str
) -> None:
    cover(conn, t)
    conn.execute("alter table t disable trigger journal_update; alter table t enable trigger journal_update")
    for function in ("seal_coverage", "forget_coverage", "uncover"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            operator.execute(f"select journal.{function}('t')".encode())
    assert status(conn, t) == "gap"


@pytest.mark.parametrize("forget", ["seal_coverage('t')", "uncover('t')"])
def test_a_gap_is_remembered_however_coverage_ends(
    conn: psycopg.Connection, superuser_dsn: str, t: str, forget: str
) -> None:
    cover(conn, t)
    conn.execute("alter table t disable trigger journal_update; alter table t enable trigger journal_update")
    conn.execute(f"select journal.{forget}".encode())
    with psycopg.connect(superuser_dsn) as admin:
        assert one(admin, "select count(*) from journal.gap") == 1


def test_the_time_in_which_a_table_was_uncovered_is_a_gap(conn: psycopg.Connection, superuser_dsn: str, t: str) -> None:
    cover(conn, t)
    conn.execute("select journal.uncover('t')")
    cover(conn, t)
    with psycopg.connect(superuser_dsn) as admin:
        assert rows(admin, "select reason from journal.gap") == [{"reason": "it was not covered"}]


def test_nobody_may_execute_a_capture_function(
    conn: psycopg.Connection, superuser_dsn: str, operator: psycopg.Connection, t: str
) -> None:
    """Behind a trigger of one's own it would record rows that never were. Cover shows and removes such a trigger."""
    cover(conn, t)
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        function = one(admin, "select tgfoid::regproc::text from pg_trigger where tgname = 'journal_update'")
        holders = f"select a.grantee from pg_proc, aclexplode(proacl) a where oid = '{function}'::regproc and a.grantee <> proowner"
        assert rows(admin, holders) == []
        admin.execute(f"grant trigger on t to {operator.info.user}".encode())
        forged = f"""create trigger forged after update on t referencing old table as new_rows new table as old_rows
                     for each statement execute function {function}()"""
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            operator.execute(forged.encode())
        admin.execute(forged.encode())
    assert status(conn, t) == "gap"
    cover(conn, t)
    assert status(conn, t) == "covered"
    assert one(conn, "select count(*) from pg_trigger where tgname = 'forged'") == 0
