"""One call of a tool: its transaction, its result, its row."""

# ruff: noqa: PT012  what is tested is the body of a step, in its session

from __future__ import annotations

import math
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import scalar_row

import journal
import outbox
from tests.journal.steps.support import column, note, notes, one, statuses


def row_of(conn: psycopg.Connection, step: journal.Step) -> dict[str, Any]:
    found: dict[str, Any] = one(conn, "select to_jsonb(s) from journal.steps s where step_id = %s", step.id)
    return found


def test_a_completed_step_leaves_a_row(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("refund", key="k", arguments={"order": 42}, details={"why": "broken"}, kind="reversible") as step:
        note(db)
        step.complete({"refund": 991})
    row = row_of(db, step)
    assert row["step_id"] == str(step.id)
    assert row["session_id"] == str(agent.id)
    assert step.session_id == agent.id
    assert (row["tool"], row["kind"], row["key"], row["attempt"]) == ("refund", "reversible", "k", 1)
    assert (step.tool, step.key, step.attempt, step.conn) == ("refund", "k", 1, db)
    assert (row["status"], row["arguments"], row["result"]) == ("completed", {"order": 42}, {"refund": 991})
    assert row["receipt_id"] == str(step.receipt)
    assert row["started_at"] < row["ended_at"]
    assert row["error"] is None
    changed_in = one(db, "select transaction_id::text from journal.statements where step_id = %s", step.id)
    assert str(row["transaction_id"]) == changed_in


def test_steps_are_counted_in_their_session(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    other = journal.open_session(db, agent="other")
    for session in (agent, other, agent):
        with session.step("note"):
            pass
    query = "select ordinal from journal.steps where session_id = %s order by ordinal"
    assert column(db, query, agent.id) == [1, 2]
    assert column(db, query, other.id) == [1]


@pytest.mark.parametrize(
    "result",
    [None, 0, 7, -1.5, True, "", "ä\u2028\U0001f600", [], {}, [1, [2, {"x": None}]], {"a": {"b": [1.25, "c"]}}, 10**40],
)
def test_the_result_is_the_decoded_stored_value(agent: journal.AgentSession, result: object) -> None:
    with agent.step("compute", key="k") as step:
        step.complete(result)
        assert step.result == result
    assert step.result == result
    with agent.step("compute", key="k") as step:
        assert step.result == result
    assert step.result == result


def test_a_number_is_what_postgres_makes_of_it_the_first_time_too(agent: journal.AgentSession) -> None:
    seen = []
    for _ in range(2):
        with agent.step("compute", key="k") as step:
            step.complete([1e300, 1.50])
        seen.append(step.result)
    assert seen == [[10**300, 1.5]] * 2


def test_tuples_come_back_as_lists_the_first_time_too(agent: journal.AgentSession) -> None:
    with agent.step("compute") as step:
        step.complete({"pair": (1, 2)})
    assert step.result == {"pair": [1, 2]}


@pytest.mark.parametrize(
    ("result", "path"),
    [
        ({"a": [1, object()]}, "result.a[1]"),
        (math.nan, "result"),
        ([math.inf], "result[0]"),
        ({1: 2}, "result"),
        ({"x": {"y": b"bytes"}}, "result.x.y"),
        ("a\0b", "result"),
        (["\ud800"], "result[0]"),
        ({"a\0": 1}, "result"),
        ({1, 2}, "result"),
        ([10**5000], "result"),
    ],
)
def test_a_result_that_is_no_strict_json_is_refused(
    db: psycopg.Connection, agent: journal.AgentSession, result: object, path: str
) -> None:
    with pytest.raises(journal.NotSerializable) as caught, agent.step("note") as step:
        note(db)
        step.complete(result)
    assert caught.value.path == path
    assert isinstance(caught.value, TypeError)
    assert notes(db) == 0


def test_a_result_that_contains_itself_is_refused(agent: journal.AgentSession) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(journal.NotSerializable), agent.step("note") as step:
        step.complete(endless)


@pytest.mark.parametrize("name", ["arguments", "details"])
def test_arguments_and_details_are_strict_json_before_anything_runs(
    db: psycopg.Connection, agent: journal.AgentSession, name: str
) -> None:
    with pytest.raises(journal.NotSerializable) as caught:
        agent.step("note", **{name: {"a": math.nan}})  # type: ignore[arg-type]
    assert caught.value.path == f"{name}.a"
    assert statuses(db, agent) == []


def test_the_last_complete_counts(agent: journal.AgentSession) -> None:
    with agent.step("note") as step:
        step.complete(1)
        step.complete(2)
    assert step.result == 2


def test_what_is_completed_after_the_block_is_refused(agent: journal.AgentSession) -> None:
    with agent.step("note", key="k") as step:
        step.complete(1)
    with pytest.raises(journal.StepError, match="has ended"):
        step.complete(2)
    assert step.result == 1


def test_a_replay_keeps_its_result_whatever_the_body_completes(agent: journal.AgentSession) -> None:
    for _ in range(2):
        with agent.step("note", key="k") as step:
            step.complete(2 if step.replayed else 1)
    assert step.result == 1


def test_leaving_the_block_completes_the_step(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("note", key="k") as step:
        note(db)
    assert step.result is None
    assert step.receipt is not None
    with agent.step("note", key="k") as step:
        assert step.replayed
    assert notes(db) == 1


@pytest.mark.parametrize("kind", ["read", "idempotent", "reversible", "compensable", "irreversible", None])
def test_kinds(agent: journal.AgentSession, kind: str | None) -> None:
    with agent.step("note", kind=kind):
        pass


def test_another_kind_is_unknown(agent: journal.AgentSession) -> None:
    with pytest.raises(journal.UnknownKind), agent.step("note", kind="harmless"):
        pytest.fail("the body ran")


@pytest.mark.parametrize("tool", ["", "x" * 513])
def test_a_tool_has_a_name(agent: journal.AgentSession, tool: str) -> None:
    with pytest.raises(journal.StepError), agent.step(tool):
        pytest.fail("the body ran")


def test_before_and_after_the_block(agent: journal.AgentSession) -> None:
    step = agent.step("note", key="k")
    assert step.receipt is None
    with pytest.raises(AttributeError, match="context manager"):
        _ = step.id
    with step:
        assert isinstance(step.id, UUID)
        assert step.receipt is None


class Custom(Exception):
    """An error of the application's."""


def test_a_failed_try_leaves_a_row_that_holds_no_values(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with pytest.raises(Custom), agent.step("note", key="k", arguments={"a": 1}) as step:
        note(db)
        raise Custom("card 4242")
    row = row_of(db, step)
    assert (row["status"], row["arguments"], row["result"], row["receipt_id"]) == ("failed", {"a": 1}, None, None)
    assert row["error"] == {"type": "tests.journal.steps.test_steps.Custom", "sqlstate": None}
    assert row["key_expires_at"] is None
    assert notes(db) == 0
    with pytest.raises(psycopg.errors.UniqueViolation), agent.step("note") as step:
        db.execute("insert into orders values (42, 'again')")
    assert row_of(db, step)["error"] == {"type": "psycopg.errors.UniqueViolation", "sqlstate": "23505"}


def test_the_bodys_own_exception_passes_unchanged(agent: journal.AgentSession) -> None:
    raised = Custom("as it was")
    with pytest.raises(Custom) as caught, agent.step("note"):
        raise raised
    assert caught.value is raised
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_an_error_caused_by_one_of_ours_stays_the_applications(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    with pytest.raises(Custom), agent.step("note"):
        try:
            journal.bind(db, UUID(int=1))
        except journal.UnknownSession as error:
            raise Custom from error


def test_an_error_of_ours_that_arrives_through_a_users_statement_becomes_ours(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    with pytest.raises(journal.UnknownSession) as caught, agent.step("note"):
        db.execute("select journal.bind(gen_random_uuid())")
    assert isinstance(caught.value.__cause__, psycopg.DatabaseError)
    assert isinstance(journal.from_database(caught.value.__cause__), journal.UnknownSession)
    assert journal.from_database(ValueError()) is None


def test_keyboard_interrupt_rolls_back(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with pytest.raises(KeyboardInterrupt), agent.step("note", key="k"):
        note(db)
        raise KeyboardInterrupt
    assert notes(db) == 0
    assert statuses(db, agent) == ["failed"]
    with agent.step("note", key="k") as step:
        assert not step.replayed


def test_a_generator_that_is_closed_inside_a_step_rolls_back(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    def tool() -> Any:
        with agent.step("note", key="k"):
            note(db)
            yield

    running = tool()
    next(running)
    running.close()
    assert notes(db) == 0
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_a_final_failure_with_a_result_that_is_no_json_is_refused(agent: journal.AgentSession) -> None:
    with pytest.raises(journal.NotSerializable), agent.step("note", key="k"):
        raise journal.StepFailed({"x": object()})
    with agent.step("note", key="k") as step:
        assert not step.replayed


def test_a_final_failure_without_a_key_is_only_a_row(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with pytest.raises(journal.StepFailed) as caught, agent.step("note") as step:
        raise journal.StepFailed({"no": "money"})
    assert caught.value.result == {"no": "money"}
    assert row_of(db, step)["result"] == {"no": "money"}


def test_the_callers_settings_of_the_connection_do_not_matter(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    class Dumper(psycopg.adapt.Dumper):
        def dump(self, obj: object) -> bytes:
            raise AssertionError(f"{obj!r} was adapted by the caller's dumper")

    class Loader(psycopg.adapt.Loader):
        def load(self, data: object) -> object:
            raise AssertionError(f"{data!r} was read by the caller's loader")

    db.row_factory = scalar_row
    db.cursor_factory = psycopg.ClientCursor
    db.adapters.register_dumper(str, Dumper)
    db.adapters.register_loader("text", Loader)
    db.prepare_threshold = 0
    with agent.step("note", key="k", arguments={"a": "ä"}) as step:
        db.execute("insert into notes (note) values ('x')")
        outbox.publish(db, topic="notes")
        step.complete("ü")
    assert step.result == "ü"
    assert db.row_factory is scalar_row


def test_timezone_and_other_settings_do_not_change_a_receipt(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    db.execute("set timezone = 'Asia/Kolkata'")
    db.execute("set datestyle = 'German'")
    db.execute("set search_path = 'journal'")
    db.commit()
    with agent.step("note"):
        db.execute("insert into public.notes (note) values ('x')")
    document = one(db, "select document from journal.receipts")
    assert document["committed_at"].endswith("Z")
    assert document["changes"] == {"public.notes": {"insert": 1}}


def test_nothing_is_set_for_the_session_of_the_connection(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    query = "select array_agg(name || '=' || setting order by name) from pg_settings where name not like 'transaction%'"
    before = one(db, query)
    db.rollback()
    with agent.step("note", key="k"):
        note(db)
    with agent.step("note", key="k"):
        pass
    assert one(db, query) == before
    assert column(db, "select locktype from pg_locks where locktype = 'advisory'") == []
    assert column(db, "select pg_listening_channels()") == []


def test_the_body_may_use_savepoints(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("note") as step:
        note(db, "kept")
        with pytest.raises(Custom), db.transaction():
            note(db, "dropped")
            raise Custom
        with db.transaction():
            note(db, "kept too")
    assert column(db, "select note from notes order by id") == ["kept", "kept too"]
    assert step.receipt is not None
    assert step.receipt.changes == {"public.notes": {"insert": 2}}


def test_what_comes_after_a_rolled_back_savepoint_still_belongs_to_the_step(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    with agent.step("note") as step:
        with pytest.raises(psycopg.errors.DivisionByZero), db.transaction():
            db.execute("select 1 / 0")
        note(db)
    assert one(db, "select step_id from journal.statements") == step.id


def test_deferred_constraints_fail_the_step_at_its_commit(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    db.execute("create table parts (id int primary key, order_id int references orders deferrable initially deferred)")
    db.commit()
    with pytest.raises(psycopg.errors.ForeignKeyViolation), agent.step("add", key="k"):
        db.execute("insert into parts values (1, 99)")
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert statuses(db, agent) == ["failed"]
    with agent.step("add", key="k") as step:
        assert not step.replayed


def test_statements_between_steps_are_unbound(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("note"):
        note(db)
    note(db)
    db.commit()
    assert column(db, "select session_id from journal.statements order by statement_id") == [agent.id, None]


def test_a_pipeline_is_left_before_a_step_and_may_be_used_inside_it(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    with db.pipeline(), pytest.raises(journal.UnsupportedConnection, match="pipeline"), agent.step("note", key="k"):
        pytest.fail("the body ran")
    with agent.step("note", key="k") as step:
        with db.pipeline():
            note(db)
            note(db)
        step.complete("done")
    assert (step.result, notes(db)) == ("done", 2)
