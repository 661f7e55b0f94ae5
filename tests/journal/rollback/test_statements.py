"""Cases 31 to 35: statements. S is the session that is rolled back, T is anyone else."""

from __future__ import annotations

import psycopg
import pytest

from tests.journal.rollback.history import History

T = ("create table t (id int primary key, v text)", "insert into t select g, 'v' || g from generate_series(1, 6) g")


def test_case_31_copy(history: History) -> None:
    """`copy` → journaled, undone set-wise: a few statements for twenty thousand rows. (A million: `make soak`.)"""
    history.given(*T)
    with history.acting() as (agent, _), agent.cursor().copy("copy t from stdin") as copy:
        for number in range(100, 20_100):
            copy.write_row((number, f"copied {number}"))
    before = history.one("select count(*) from journal.statements")
    done = history.roll_back()
    assert done.rows == {"remove": 20_000}
    assert history.one("select count(*) from journal.statements") == before + 1
    history.expect_start()


def test_case_32_merge(history: History) -> None:
    """`merge` with insert, update and delete branches → each row by what really happened."""
    history.given(
        *T,
        "create table news (id int primary key, v text)",
        "insert into news values (1, 'new'), (2, null), (9, 'nine')",
    )
    history.agent(
        """merge into t using news n on n.id = t.id
           when matched and n.v is null then delete
           when matched then update set v = n.v
           when not matched then insert values (n.id, n.v)"""
    )
    assert history.roll_back().rows == {"restore": 1, "remove": 1, "reinsert": 1}
    history.expect_start()


def test_case_32_upsert(history: History) -> None:
    """`insert … on conflict do update` mixed; and `do nothing`."""
    history.given(*T)
    history.agent(
        "insert into t values (1, 'x'), (9, 'y') on conflict (id) do update set v = excluded.v",
        "insert into t values (2, 'x'), (10, 'y') on conflict do nothing",
        "insert into t values (3, 'v3') on conflict (id) do update set v = excluded.v",
    )
    done = history.roll_back()
    assert (done.rows, done.changes) == ({"restore": 1, "remove": 2, "noop": 1}, {"restore": 1, "remove": 2, "noop": 1})
    history.expect_start()


def test_case_32_data_modifying_ctes(history: History) -> None:
    """Two tables and two operations in one statement."""
    history.given(*T, "create table u (id int primary key, v text)")
    history.agent(
        """with gone as (delete from t where id <= 2 returning *), changed as (update t set v = 'changed' where id = 3)
           insert into u select * from gone"""
    )
    assert history.roll_back().rows == {"restore": 1, "remove": 2, "reinsert": 2}
    history.expect_start()


def test_case_33_updatable_view(history: History) -> None:
    """Writes through an updatable view → base rows journaled under S."""
    history.given(*T, "create view w as select id, v from t where id > 1 with check option")
    history.agent("insert into w values (9, 'nine')", "update w set v = 'x' where id = 2", "delete from w where id = 3")
    assert history.roll_back().rows == {"restore": 1, "remove": 1, "reinsert": 1}
    history.expect_start()


def test_case_33_instead_of_trigger(history: History) -> None:
    """Writes through an INSTEAD OF trigger → base rows journaled under S, and undone although a trigger wrote them."""
    history.given(
        *T,
        "create view w as select id, upper(v) as v from t",
        """create function through() returns trigger language plpgsql as $$
           begin update public.t set v = lower(new.v) where id = old.id; return new; end $$""",
        "create trigger through instead of update on w for each row execute function through()",
    )
    history.agent("update w set v = 'X' where id <= 3")
    assert history.roll_back().rows == {"restore": 3}
    history.expect_start()


def test_case_33_rule_on_a_view(history: History) -> None:
    """Writes through a rule → base rows journaled under S."""
    history.given(
        *T,
        "create view w as select id, upper(v) as v from t",
        "create rule through as on delete to w do instead delete from t where id = old.id",
    )
    history.agent("delete from w where id <= 3")
    assert history.roll_back().rows == {"reinsert": 3}
    history.expect_start()


def test_case_33_rule_on_a_table_cannot_be_covered(history: History) -> None:
    """A rule that rewrites the statements of the table itself → refused with the reason."""
    history.given(*T, uncovered=["t"])
    history.operator.execute("create rule swallow as on delete to t do instead nothing")
    with pytest.raises(psycopg.DatabaseError, match="a rule rewrites its statements") as caught:
        history.cover("t")
    assert caught.value.sqlstate == "JR030"


@pytest.mark.parametrize("security", ["invoker", "definer"])
def test_case_33_inside_a_function(history: History, security: str) -> None:
    """Inside `select fn()` → base rows journaled under S."""
    history.given(
        *T,
        f"""create function fn(wanted int) returns void language plpgsql security {security} set search_path = public as $$
            begin update t set v = 'fn' where id = wanted; delete from t where id = wanted + 1; end $$""",
    )
    history.agent("select fn(1)", "select fn(id) from t where id = 4")
    assert history.roll_back().rows == {"restore": 2, "reinsert": 2}
    history.expect_start()


def test_case_34_truncate_is_blocked_where_it_is_to_be_refused(history: History) -> None:
    """`truncate` → BLOCK, where the table is covered so."""
    history.given(*T, t={"truncate": "refuse"})
    with pytest.raises(psycopg.DatabaseError) as caught:
        history.agent("truncate t")
    assert (caught.value.sqlstate or "").startswith("JR")
    history.expect_start()


def test_case_34_truncate_cascade(history: History) -> None:
    """`truncate … cascade` → all rows captured once."""
    history.given(
        *T,
        "create table child (id int primary key, t int references t)",
        "insert into child values (1, 1), (2, 2)",
        "grant select on t, child to journal_owner",
        t={"truncate": "capture"},
        child={"truncate": "capture"},
    )
    history.agent("truncate t cascade", "insert into t values (1, 'anew')")
    done = history.roll_back()
    assert done.rows == {"restore": 1, "reinsert": 7}
    history.expect_start()


def test_case_34_truncate_of_partitions(history: History) -> None:
    """Also on partitioned tables → all rows captured once, whether the parent or a leaf is truncated, with what refers to them."""
    history.given(
        "create table p (id int primary key, v text) partition by range (id)",
        "create table p1 partition of p for values from (0) to (10)",
        "create table p2 partition of p for values from (10) to (20)",
        "create table child (id int primary key, p int references p)",
        "insert into p select n, 'v' || n from generate_series(1, 15) n",
        "insert into child values (1, 1), (2, 12)",
        "grant select on p, p1, p2, child to journal_owner",
    )
    history.agent("truncate p cascade")
    done = history.roll_back()
    assert done.rows == {"reinsert": 17}
    history.expect_start()
    history.open()
    history.agent("truncate p2 cascade")
    assert history.roll_back().rows == {"reinsert": 8}
    history.expect_start()


def test_case_35_agents_cannot_change_tables(history: History) -> None:
    """`drop table`, `drop column`, `alter table … disable trigger`, `session_replication_role` by an agent role → BLOCK: an
    agent role owns nothing."""
    history.given(*T)
    role = history.role("agent", "journal_agent")
    history.operator.execute(f"grant select, insert, update, delete on t to {role}".encode())
    with history.connect(history.as_role(role)) as agent:
        for statement in (
            "drop table t",
            "alter table t drop column v",
            "alter table t disable trigger all",
            "alter table t disable trigger journal_update",
            "drop trigger journal_update on t",
            "set session_replication_role = replica",
            "delete from journal.statement",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                agent.execute(statement.encode())
    assert history.one("select status from journal.coverage where relation = 't'::regclass") == "covered"


@pytest.mark.parametrize("trigger", ["journal_update", "user"])
def test_case_35_rollback_across_a_gap(history: History, trigger: str) -> None:
    """Coverage gaps by an owner or superuser are detected, and a rollback across a gap is REFUSED."""
    history.given(*T)
    history.agent("update t set v = 'agent' where id = 1")
    with history.acting() as (agent, _):
        agent.execute(f"alter table t disable trigger {trigger}".encode())
        agent.execute("update t set v = 'unseen' where id = 2")
        agent.execute(f"alter table t enable trigger {trigger}".encode())
    for mode in ("refuse", "skip"):
        done = history.roll_back(mode)
        assert (done.outcome, done.exit_code, done.reasons) == ("refused", 3, {"coverage_gap"})
    assert history.rows("select v from t where id <= 2") == {("agent",), ("unseen",)}


def test_case_35_gap_that_was_mended_before_the_session(history: History) -> None:
    """A gap that was over before the session began is none of its rollback's business."""
    history.given(*T)
    history.others("alter table t disable trigger user", "alter table t enable trigger user")
    history.cover("t")
    history.agent("update t set v = 'agent' where id = 1")
    assert history.roll_back().rows == {"restore": 1}
    history.expect_start()


def test_case_35_gap_that_was_mended_since(history: History) -> None:
    """Covering again does not make a gap in the middle of a session undone."""
    history.given(*T)
    history.agent("update t set v = 'agent' where id = 1")
    history.others("alter table t disable trigger user")
    history.agent("update t set v = 'unseen' where id = 2")
    history.cover("t")
    done = history.roll_back()
    assert (done.outcome, done.reasons) == ("refused", {"coverage_gap"})


def test_case_35_uncovered_before_the_rollback(history: History) -> None:
    """A table that was uncovered while the session could write: what it did then is not known → REFUSED."""
    history.given(*T)
    history.agent("update t set v = 'agent' where id = 1")
    history.operator.execute("select journal.uncover('t')")
    done = history.roll_back()
    assert (done.outcome, done.reasons) == ("refused", {"coverage_gap"})


def test_case_35_uncovered_after_the_session(history: History) -> None:
    """A table that was uncovered when the session was over: all that it did is known."""
    history.given(*T)
    history.agent("update t set v = 'agent' where id = 1")
    history.stop()
    history.operator.execute("select journal.uncover('t')")
    assert history.roll_back().rows == {"restore": 1}
    history.expect_start()
