"""The call itself: several sessions, steps, digests, limits, the caller's transaction, and what it leaves of it."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest

from tests.journal.rollback.history import History, report

T = ("create table t (id int primary key, v int, w int)", "insert into t select g, g, g from generate_series(1, 10) g")


def test_child_sessions_are_included(history: History) -> None:
    """A parent's rollback includes its child sessions, and says why."""
    history.given(*T)
    parent = history.agent("update t set v = 0 where id = 1")
    child = history.open("helper", parent=parent)
    history.agent("update t set v = 0 where id = 2")
    grandchild = history.open("helper of the helper", parent=child)
    history.agent("update t set v = 0 where id = 3", "update t set v = -1 where id = 1")
    done = history.roll_back("refuse", parent)
    assert (done.rows, done.changes) == ({"restore": 3}, {"restore": 4})
    assert {s["session_id"]: s["why"] for s in done.raw["sessions"]} == {
        str(parent): "named",
        str(child): "child",
        str(grandchild): "child",
    }
    history.expect_start()


def test_child_session_alone(history: History) -> None:
    """A child is rolled back without its parent, if the parent did not go on with its rows."""
    history.given(*T)
    parent = history.agent("update t set v = 0 where id = 1")
    child = history.open("helper", parent=parent)
    history.agent("update t set v = 0 where id = 2", "update t set v = 7 where id = 1")
    assert history.roll_back("refuse", child).rows == {"restore": 2}
    assert history.rows("select v from t where id < 3") == {(0,), (2,)}


def test_one_step_of_a_session(history: History) -> None:
    """`--step`: a single tool call; the session stays open and goes on."""
    history.given(*T)
    one = history.step("one", "update t set v = 0 where id = 1")
    two = history.step("two", "update t set v = 0 where id = 2")
    assert history.session is not None
    done = report(history.operator, "apply", [history.session], step_ids=[two])
    assert (done.outcome, done.rows) == ("done", {"restore": 1})
    assert history.one("select status from journal.sessions where session_id = %s", history.session) == "open"
    assert history.rows("select step_id, status from journal.steps") == {(one, "completed"), (two, "reversed")}
    history.step("three", "update t set v = 0 where id = 3")
    assert history.rows("select id from t where v = 0") == {(1,), (3,)}


def test_a_step_of_another_session_is_refused(history: History) -> None:
    """It ended as if there were nothing to undo: whoever mistook the step believed that it was taken back."""
    history.given(*T)
    strange = history.step("one", "update t set v = 0 where id = 1")
    session = history.open("another")
    for step in (strange, uuid4()):
        with pytest.raises(psycopg.DatabaseError, match=f"the session has no step {step}") as refused:
            report(history.operator, "apply", [session], step_ids=[step])
        assert refused.value.sqlstate == "JR013"


def test_step_that_a_later_step_built_on(history: History) -> None:
    """Another step of the same session went on with the row → CONFLICT; latest first, each can be taken back."""
    history.given(*T)
    one = history.step("one", "update t set v = 20 where id = 1")
    two = history.step("two", "update t set v = 30 where id = 1")
    history.stop()
    assert history.session is not None
    refused = report(history.operator, "apply", [history.session], step_ids=[one])
    assert (refused.outcome, refused.conflict["ours"], refused.conflict["theirs"]) == ("refused", "20", "30")
    for step in (two, one):
        assert report(history.operator, "apply", [history.session], step_ids=[step]).rows == {"restore": 1}
    history.expect_start()


def test_step_then_the_whole_session(history: History) -> None:
    history.given(*T)
    history.step("one", "update t set v = 20 where id = 1")
    two = history.step("two", "update t set v = 30, w = 30 where id in (1, 2)")
    assert history.session is not None
    report(history.operator, "apply", [history.session], step_ids=[two])
    done = history.roll_back()
    assert (done.rows, done.changes) == ({"restore": 1, "noop": 2}, {"restore": 1, "noop": 2})
    history.expect_start()
    assert history.redo(done).rows == {"restore": 1}
    assert history.rows("select v from t where id = 1") == {(20,)}


def test_child_session_then_its_parent(history: History) -> None:
    """What was taken back before is a noop, and no obstacle."""
    history.given(*T)
    parent = history.agent("update t set v = 0 where id < 3")
    child = history.open("helper", parent=parent)
    history.agent("update t set v = 7 where id = 1")
    assert history.roll_back("refuse", child).rows == {"restore": 1}
    assert history.roll_back("refuse", parent).rows == {"restore": 2, "noop": 1}
    history.expect_start()


def test_sessions_of_which_one_was_taken_back_before(history: History) -> None:
    """The redo of the second rollback does not touch what the first one did."""
    history.given(*T)
    one = history.agent("update t set v = 0 where id = 1")
    two = history.open("other")
    history.agent("update t set v = 7 where id = 1", "update t set v = 7 where id = 2")
    first = history.roll_back("refuse", two)
    both = history.roll_back("refuse", one, two)
    assert both.rows == {"restore": 1, "noop": 2}
    history.redo(both)
    reversed_now = {
        row[0]: row[1] for row in history.rows("select session_id, reversed from journal.sessions where kind = 'agent'")
    }
    assert reversed_now == {one: "no", two: "fully"}
    history.redo(first)
    assert history.rows("select id, v from t where id < 3") == {(1, 7), (2, 7)}


def test_plan_changed(history: History) -> None:
    """What is applied is what was shown: else PlanChanged, and nothing changed."""
    history.given(*T)
    history.agent("update t set v = 0")
    history.stop()
    plan = history.report("plan")
    history.others("update t set w = 77 where id = 5")  # is kept, so it changes nothing of the plan
    assert history.report("plan").digest == plan.digest
    history.others("update t set v = 5 where id = 5")
    before = history.snapshot()
    with pytest.raises(psycopg.DatabaseError) as caught:
        history.report("apply", expected_digest=plan.digest, on_conflict="skip")
    assert caught.value.sqlstate == "JR036"
    assert history.snapshot() == before


def test_the_order_of_sessions_and_steps_is_no_part_of_the_plan(history: History) -> None:
    """The database finds them in any order: now and then a plan was taken for another one than was shown."""
    history.given(*T)
    steps = [history.step(tool, f"update t set v = 0 where id = {n}") for n, tool in enumerate(("a", "b"), 1)]
    one, two = history.session, history.open("other")
    assert one is not None
    history.agent("update t set w = 7", session=two)
    history.stop(one, two)
    assert history.report("plan", one, two).digest == history.report("plan", two, one).digest
    digests = {history.report("plan", one, step_ids=named).digest for named in (steps, steps[::-1])}
    assert len(digests) == 1


def test_plan_changed_on_a_step_that_was_added(history: History) -> None:
    history.given(*T)
    history.agent("update t set v = 0 where id = 1")
    plan = history.report("plan")
    history.agent("update t set v = 0 where id = 2")
    history.stop()
    with pytest.raises(psycopg.DatabaseError) as caught:
        history.report("apply", expected_digest=plan.digest)
    assert caught.value.sqlstate == "JR036"


def test_max_rows(history: History) -> None:
    """A plan above the limit is refused before anything is touched; a plan itself has no limit."""
    history.given(*T)
    history.agent("update t set v = 0")
    history.stop()
    assert history.report("plan", max_rows=9).rows == {"restore": 10}
    with pytest.raises(psycopg.DatabaseError) as caught:
        history.report("apply", max_rows=9)
    assert caught.value.sqlstate == "JR038"
    assert history.report("apply", max_rows=10).outcome == "done"


def test_unknown_session(history: History) -> None:
    for mode in ("plan", "dry_run", "apply"):
        with pytest.raises(psycopg.DatabaseError) as caught:
            report(history.operator, mode, [uuid4()])
        assert caught.value.sqlstate == "JR009"


@pytest.mark.parametrize("wrong", [{"mode": "destroy"}, {"mode": "apply", "on_conflict": "overwrite"}])
def test_unknown_mode(history: History, wrong: dict[str, str]) -> None:
    history.given(*T)
    session = history.agent("update t set v = 0")
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        report(history.operator, wrong.pop("mode"), [session], **wrong)


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_isolation(history: History, level: str) -> None:
    """[29] An older snapshot would miss the session's last commits: READ COMMITTED only."""
    history.given(*T)
    history.agent("update t set v = 0")
    history.stop()
    with history.operator.transaction(force_rollback=True):
        history.operator.execute(f"set transaction isolation level {level}".encode())
        with pytest.raises(psycopg.DatabaseError) as caught:
            history.report("apply")
    assert caught.value.sqlstate == "JR035"


def test_inside_a_transaction_of_the_caller(history: History) -> None:
    """The caller's transaction is never committed by us: taken back with a savepoint, done again; the rest is the caller's."""
    history.given(*T)
    history.agent("update t set v = 0 where id < 5")
    history.stop()
    with history.operator.transaction():
        history.operator.execute("update t set w = 50 where id = 9")
        with history.operator.transaction(force_rollback=True):
            assert history.report("apply").outcome == "done"
        assert history.one("select count(*) from t where v = 0") == 4
        assert history.report("dry_run").rows == {"restore": 4}
        done = history.report("apply")
        history.operator.execute("update t set w = 51 where id = 8")
    assert history.rows("select id, v, w from t where id >= 8 or v <> id") == {(8, 8, 51), (9, 9, 50), (10, 10, 10)}
    assert history.one("select count(*) from journal.statements where session_id = %s", done.rollback_id) == 1
    assert history.one("select count(*) from journal.rollbacks") == 1


def test_callers_transaction_that_is_rolled_back(history: History) -> None:
    history.given(*T)
    history.agent("update t set v = 0")
    history.stop()
    with history.operator.transaction(force_rollback=True):
        assert history.report("apply").outcome == "done"
    assert history.one("select count(*) from t where v = 0") == 10
    assert history.one("select count(*) from journal.rollbacks") == 0
    assert history.roll_back().rows == {"restore": 10}


def test_two_rollbacks_in_one_transaction(history: History) -> None:
    history.given(*T)
    first = history.agent("update t set v = 0 where id < 5")
    second = history.open("other")
    history.agent("update t set v = 0 where id > 5", "delete from t where id = 10")
    history.stop(first, second)
    with history.operator.transaction():
        assert report(history.operator, "apply", [second]).outcome == "done"
        assert report(history.operator, "apply", [first]).outcome == "done"
    history.expect_start()


def test_settings_of_the_caller_are_as_before(history: History) -> None:
    history.given(*T)
    history.agent("update t set v = 0")
    history.stop()
    names = [
        "search_path",
        "lock_timeout",
        "timezone",
        "datestyle",
        "intervalstyle",
        "bytea_output",
        "extra_float_digits",
        "default_statistics_target",
    ]
    changed = {
        "search_path": "public, pg_temp",
        "lock_timeout": "7s",
        "timezone": "Asia/Tokyo",
        "datestyle": "SQL, DMY",
        "intervalstyle": "iso_8601",
    }
    for name, value in changed.items():
        history.operator.execute("select set_config(%s, %s, false)", (name, value))
    with history.operator.transaction():
        before = [history.one("select current_setting(%s)", name) for name in names]
        assert history.report("plan").rows == {"restore": 10}
        assert [history.one("select current_setting(%s)", name) for name in names] == before
        assert history.report("apply").rows == {"restore": 10}
        assert [history.one("select current_setting(%s)", name) for name in names] == before


def test_backslashes_are_what_the_caller_says(history: History) -> None:
    """With standard_conforming_strings off nothing was seen to be bound: writes went unrecorded, a rollback failed."""
    history.given("create table t (id int primary key, v int, kind regtype)", t={"writers": "agents"})
    history.agent_conn.execute("set standard_conforming_strings = off")
    history.operator.execute("set standard_conforming_strings = off")
    history.agent("insert into t values (1, 1, 'int')")
    done = history.roll_back()
    assert done.rows == {"remove": 1}
    assert history.redo(done).rows == {"reinsert": 1}


def test_bound_transaction_cannot_roll_back(history: History) -> None:
    """A rollback is a session of its own: a transaction that is bound to one cannot become another."""
    history.given(*T)
    history.agent("update t set v = 0")
    history.stop()
    working = history.open("still working")
    with history.operator.transaction(force_rollback=True):
        history.operator.execute("select journal.bind(%s)", (working,))
        with pytest.raises(psycopg.DatabaseError) as caught:
            history.report("apply")
    assert caught.value.sqlstate == "JR006"


def test_operators_that_somebody_put_on_the_path(history: History) -> None:
    """Generated SQL is qualified, operators included: a caller's search_path cannot make it call something else."""
    history.given(
        *T,
        "create schema evil",
        "create function evil.never(int, int) returns boolean language sql as 'select false'",
        "create operator evil.= (leftarg = int, rightarg = int, function = evil.never)",
        "create operator evil.<> (leftarg = int, rightarg = int, function = evil.never)",
        "create function evil.count(int) returns bigint language sql as 'select 0::bigint'",
    )
    history.agent("update t set v = 0 where id < 5", "delete from t where id = 7", "insert into t values (20, 0, 0)")
    history.operator.execute("set search_path = evil, public, pg_catalog")
    history.stop()
    done = history.report("apply")
    history.operator.execute("reset search_path")
    assert done.rows == {"restore": 4, "remove": 1, "reinsert": 1}
    history.expect_start()


def test_nothing_to_roll_back(history: History) -> None:
    """A session that did nothing is a report, not an error."""
    history.given(*T)
    history.open()
    done = history.roll_back()
    assert (done.outcome, done.exit_code, done.rows) == ("nothing", 4, {})


def test_plan_as_rows(history: History) -> None:
    """`journal.plan_rollback`: counts per table and status, then each conflict."""
    history.given(*T)
    history.agent("update t set v = 0 where id < 4")
    history.others("update t set v = 9 where id = 1")
    found = history.rows(
        """select status, relation::text, key ->> 'id', column_name, reason, base, ours, theirs, rows
             from journal.plan_rollback(array(select session_id from journal.sessions))"""
    )
    assert found == {
        ("restore", "t", None, None, None, None, None, None, 2),
        ("conflict", "t", "1", "v", "changed_since", "1", "0", "9", 1),
    }


def test_lists_are_cut(history: History) -> None:
    """A report shows a hundred conflicts at most unless more are asked for; residue keeps them all."""
    history.given(*T, "insert into t select g, g, g from generate_series(11, 200) g")
    history.agent("update t set v = 0")
    history.others("update t set v = -1 where id <= 150")
    history.stop()
    plan = history.report("plan")
    assert (plan.rows["conflict"], len(plan.conflicts), plan.raw["conflicts_shown"]) == (150, 100, 100)
    done = history.report("apply", on_conflict="skip", shown=5)
    assert len(done.conflicts) == 5
    assert history.one("select count(*) from journal.residue where rollback_id = %s", done.rollback_id) == 150


def test_residue_names_both_writers(history: History) -> None:
    """What a rollback left is a list to tick off, with base, ours, theirs and who."""
    history.given(*T)
    history.agent("update t set v = 0 where id < 4")
    history.others("update t set v = 9 where id = 1")
    done = history.roll_back("skip")
    found = history.operator.execute(
        """select kind, table_name, key ->> 'id', column_name, reason, base #>> '{}', ours #>> '{}', theirs #>> '{}',
                  their_user = session_user
             from journal.residue where rollback_id = %s""",
        (done.rollback_id,),
    ).fetchall()
    assert found == [("row", "public.t", "1", "v", "changed_since", "1", "0", "9", True)]


def test_redo_of_a_step_whose_next_attempt_is_in_effect(history: History) -> None:
    """Both attempts would have taken effect: the refund is made twice."""
    history.given("create table refund (id int primary key, amount int)")
    history.step("refund", "insert into refund values (1, 5)", key="order-1")
    done = history.roll_back()
    again = history.open()
    with history.agent_conn.transaction():
        begin = "select step_id from journal.begin_step(%s, 'refund', 'order-1', attempt => 2)"
        (step,) = history.agent_conn.execute(begin, (again,)).fetchone() or (None,)
        history.agent_conn.execute("insert into refund values (2, 5)")
        history.agent_conn.execute("select journal.complete_step(%s)", (step,))
    with pytest.raises(psycopg.DatabaseError, match="attempt 2 of a key of refund is in effect") as caught:
        history.report("apply", done.rollback_id)
    assert caught.value.sqlstate == "JR035"
    assert history.rows("table refund") == {(2, 5)}
    history.roll_back("refuse", again)
    history.redo(done)
    assert history.rows("table refund") == {(1, 5)}
