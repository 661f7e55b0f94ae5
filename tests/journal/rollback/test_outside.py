"""Cases 56 to 60: the outside world, retention, crashes, and the dry run."""

from __future__ import annotations

from concurrent.futures import wait

import psycopg
import pytest

from tests.journal.rollback.history import History, report

T = ("create table t (id int primary key, v int)", "insert into t select g, g from generate_series(1, 20) g")


def test_case_56_unsealed_messages_are_cancelled(history: History) -> None:
    """Messages: unsealed → cancelled in the same transaction."""
    history.given(*T)
    history.agent(
        "update t set v = 0", "select outbox.publish('prices', '1', '{}')", "select outbox.publish('prices', '2', '{}')"
    )
    done = history.roll_back()
    assert (done.outcome, done.raw["messages"]) == ("done", {"cancel": 2, "compensate": 0, "sent": 0})
    assert history.rows("select distinct status, cancelled_by from outbox.messages") == {
        ("cancelled", done.rollback_id)
    }


def test_case_56_messages_without_rows(history: History) -> None:
    """A session that only published is rolled back too."""
    history.given(*T)
    history.agent("select outbox.publish('prices', '1', '{}')")
    done = history.roll_back()
    assert (done.outcome, done.rows, done.raw["messages"]["cancel"]) == ("done", {}, 1)


def test_case_56_sealed_messages_are_residue(history: History) -> None:
    """Sealed → REPORT, or the declared compensation."""
    history.given(*T)
    history.agent(
        "update t set v = 0",
        "select outbox.publish('prices', '1', '{}')",
        """select outbox.publish('prices', '2', '{}', compensation => '{"undone": true}')""",
    )
    history.operator.execute("select outbox.seal()")
    done = history.roll_back()
    assert (done.outcome, done.exit_code) == ("partly", 5)
    assert done.raw["messages"] == {"cancel": 0, "compensate": 1, "sent": 2}
    assert [r["kind"] for r in done.raw["residue"]] == ["message"]
    assert (
        history.one(
            "select count(*) from journal.residue where rollback_id = %s and kind = 'message'", done.rollback_id
        )
        == 1
    )
    assert history.one("select count(*) from outbox.messages where compensates is not null") == 1
    history.expect_start()


def test_case_56_refused_rollback_leaves_the_messages(history: History) -> None:
    """A rollback that is refused takes no message back."""
    history.given(*T)
    history.agent("update t set v = 0 where id = 1", "select outbox.publish('prices', '1', '{}')")
    history.others("update t set v = 7 where id = 1")
    assert history.roll_back().outcome == "refused"
    assert history.rows("select status from outbox.messages") == {("pending",)}


def test_case_57_sequences_are_not_rewound(history: History) -> None:
    """Sequences → not rewound, REPORT: a note."""
    history.given(
        "create table t (id serial primary key, v int)",
        "create table i (id int generated always as identity primary key, v int)",
    )
    history.agent("insert into t (v) values (1), (2)", "insert into i (v) values (1)")
    done = history.roll_back()
    assert (done.rows, done.outcome, done.exit_code) == ({"remove": 3}, "done", 0)
    assert {(n["kind"], n["name"]) for n in done.raw["notes"]} == {
        ("sequence", "public.t_id_seq"),
        ("sequence", "public.i_id_seq"),
    }
    history.others("insert into t (v) values (3)")
    assert history.rows("table t") == {(3, 3)}


def test_case_57_materialized_views_are_not_refreshed(history: History) -> None:
    """Refreshed materialized views → REPORT: a note, also where one reads the table through a view."""
    history.given(
        *T,
        "create view evens as select * from t where id % 2 = 0",
        "create materialized view total as select sum(v) from evens",
        "create materialized view other as select 1",
    )
    history.agent("update t set v = 0 where id = 2")
    done = history.roll_back()
    assert [(n["kind"], n["name"]) for n in done.raw["notes"]] == [("materialized_view", "public.total")]
    assert done.exit_code == 0


def test_case_57_large_objects_are_residue(history: History) -> None:
    """Large objects → REPORT: residue."""
    history.given("create table t (id int primary key, picture oid)", "insert into t values (1, null)")
    history.agent("update t set picture = lo_from_bytea(0, 'picture')", "insert into t values (2, 4242)")
    done = history.roll_back()
    assert (done.outcome, done.exit_code) == ("partly", 5)
    (left,) = done.raw["residue"]
    assert (left["kind"], left["reason"]) == ("large_object", "public.t.picture no longer points to it")
    assert history.one("select count(*) from journal.residue where kind = 'large_object'") == 1
    history.expect_start()


def test_case_58_part_of_the_session_is_gone(history: History) -> None:
    """Part of S is gone by retention → REFUSE with what is missing; what retention kept is not undone alone."""
    history.given(*T, "create table kept (id int primary key)")
    session = history.agent("update t set v = 0")
    history.operator.execute("select journal.close_session(%s)", (session,))
    older = (
        "update journal.segment set from_at = from_at - interval '40 days', until_at = until_at - interval '40 days'"
    )
    with history.connect(history.cluster.superuser_dsn(history.one("select current_database()"))) as owner:
        owner.execute((older + " where table_name = 'public.t'").encode())
        owner.execute("update journal.session set closed_at = closed_at - interval '40 days'")
        owner.execute("select journal.prune()")
        owner.execute((older + " where until_at is not null").encode())
        dropped = owner.execute("select action from journal.prune(keep => '30 days')").fetchall()
    assert ("dropped",) in dropped
    done = history.roll_back("skip")
    assert (done.outcome, done.exit_code, done.reasons) == ("refused", 3, {"images_pruned"})
    assert [c["table"] for c in done.conflicts] == ["public.t"]


@pytest.mark.parametrize(
    ("how", "error"),
    [("pg_terminate_backend", psycopg.errors.AdminShutdown), ("pg_cancel_backend", psycopg.errors.QueryCanceled)],
)
def test_case_59_killed_in_the_middle(history: History, how: str, error: type[psycopg.Error]) -> None:
    """Crash, cancel or lost connection in mid-rollback → all or nothing, and the status is known afterwards.

    PostgreSQL takes a cancel that meets a lock timeout for that timeout, after which a rollback tries again: so must who cancels.
    """
    history.given(
        *T,
        "create table gate (id int primary key, v int)",
        "insert into gate values (1, 1)",
        """create function wait_at_the_gate() returns trigger language plpgsql as $$ begin
           perform from public.gate where id = 1 for update; return null; end $$""",
        "create trigger wait after update on t for each row when (new.id = 20) execute function wait_at_the_gate()",
        uncovered=["gate"],
    )
    session = history.agent("update t set v = v + 100")
    history.stop()
    victim = history.connect()
    victim.execute(
        "set deadlock_timeout = '60s'"
        if history.one("select rolsuper from pg_roles where rolname = current_user")
        else "select 1"
    )
    pid = victim.info.backend_pid
    with history.others_conn.transaction():
        history.others_conn.execute("select from gate for update")
        rolling = history.meanwhile(lambda: report(victim, "apply", [session], wait="60 s"))
        history.until_waiting(victim)
        while not rolling.done():
            history.operator.execute(f"select {how}(%s)".encode(), (pid,))
            wait([rolling], timeout=0.3)
        assert isinstance(rolling.exception(), error)
    assert history.one("select count(*) from t where v > 100") == 20
    assert history.one("select count(*) from journal.rollbacks") == 0
    assert history.rows("select status, reversed from journal.sessions") == {("stopped", "no")}
    assert history.roll_back().rows == {"restore": 20}
    history.expect_start()


def test_case_60_dry_run_then_apply(history: History) -> None:
    """Dry run, then apply with no traffic → identical statuses for rows; the dry run leaves no row behind. (Every test of
    this folder does it; here with a row of each status.)"""
    history.given(*T)
    history.agent(
        "update t set v = 0 where id < 5", "delete from t where id = 10", "insert into t values (30, 0), (31, 0)"
    )
    history.agent("update t set v = 99 where id = 19", "update t set v = 19 where id = 19")
    history.others("update t set v = 7 where id = 1", "delete from t where id = 31")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 3, "remove": 1, "reinsert": 1, "noop": 2, "conflict": 1}


def test_case_60_receipts_without_rows(history: History) -> None:
    """A step that changed nothing has its receipt taken back; the plan says so, instead of `nothing`."""
    history.given(*T)
    history.step("look", "select count(*) from t", key="look-1")
    plan = history.report("plan")
    assert (plan.outcome, plan.exit_code, plan.raw["receipts_reversed"]) == ("planned", 0, 1)
    done = history.roll_back()
    assert (done.outcome, done.raw["keys_reversed"], done.raw["receipts_reversed"]) == ("done", 1, 1)
    assert history.report("plan").exit_code == 4


def test_case_60_rehearse(history: History) -> None:
    """A rehearsal executes and takes everything back."""
    history.given(*T)
    history.agent("update t set v = 0 where id < 5")
    before = history.snapshot()
    rehearsed = history.report("rehearse", wait="1 s")
    assert (rehearsed.rows, rehearsed.outcome, rehearsed.committed) == ({"restore": 4}, "done", False)
    assert history.snapshot() == before


def test_images_that_somebody_deleted_are_missed(history: History) -> None:
    """The ledger counts what was recorded: with fewer images than that nothing is taken back."""
    history.given(*T)
    session = history.agent("update t set v = 0")
    segment = history.one("select max(segment_id) from journal.statement where rows = 20")
    history.operator.execute(f"delete from journal.segment_{segment} where n1 = 7".encode())
    history.stop()
    with pytest.raises(
        psycopg.DatabaseError, match=r"holds 19 images of public\.t where its ledger counts 20"
    ) as caught:
        report(history.operator, "plan", [session])
    assert caught.value.sqlstate == "JR032"
