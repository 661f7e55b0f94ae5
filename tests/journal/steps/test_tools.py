"""`journal.tool`: a function becomes a tool whose call is a step, and looks like an ordinary function to everybody else."""

from __future__ import annotations

import functools
import inspect
from typing import Annotated, Any, get_type_hints

import psycopg
import pytest

import journal
from tests.journal.steps.support import note, notes, one, statuses


@journal.tool(key=lambda order_id: f"order-{order_id}", arguments=["order_id"])
def refund(step: journal.Step, order_id: int, note: Annotated[str, "why"] = "") -> dict[str, Any]:
    """Refund an order."""
    step.conn.execute("insert into notes (note) values (%s)", (note,))
    return {"refunded": order_id}


@journal.tool(
    name="refund",
    kind="irreversible",
    key=lambda order_id: f"order-{order_id}",
    arguments=["order_id"],
    returns="envelope",
)
def refund_with_proof(step: journal.Step, order_id: int) -> dict[str, Any]:
    step.conn.execute("insert into notes (note) values ('x')")
    return {"refunded": order_id}


@journal.tool(key=lambda order_id: f"order-{order_id}", arguments=["order_id"])
async def refund_soon(step: journal.AsyncStep, order_id: int) -> dict[str, Any]:
    await step.conn.execute("insert into notes (note) values ('x')")
    return {"refunded": order_id}


@journal.tool(kind="read", key=None, arguments=[])
def count_notes(step: journal.Step, *, write: bool = False) -> int:
    if write:
        note(step.conn)
    return notes(step.conn)


def test_a_call_is_a_step_that_takes_effect_once(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent:
        assert refund(42, note="broken") == {"refunded": 42}
        assert refund(order_id=42) == {"refunded": 42}
    assert notes(db) == 1
    shown = db.execute("select tool, kind, key, arguments, status from journal.steps order by ordinal").fetchall()
    same = ("refund", "reversible", "order-42", {"order_id": 42})
    assert shown == [(*same, "completed"), (*same, "replayed")]


def test_an_envelope_carries_the_receipt(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent:
        first, again = refund_with_proof(42), refund_with_proof(42)
    receipt = one(db, "select receipt_id from journal.receipts")
    assert first == {"result": {"refunded": 42}, "receipt": str(receipt), "replayed": False}
    assert again == first | {"replayed": True}


async def test_a_coroutine_function_is_awaited(db: psycopg.Connection, dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as conn, journal.open_session(conn, agent="bot"):
        assert await refund_soon(42) == await refund_soon(42) == {"refunded": 42}
        with pytest.raises(journal.UnsupportedConnection):
            refund(42)
    assert notes(db) == 1


async def test_a_coroutine_function_needs_an_asynchronous_session(agent: journal.AgentSession) -> None:
    with agent, pytest.raises(journal.UnsupportedConnection):
        await refund_soon(42)


def test_outside_a_session_it_says_so() -> None:
    with pytest.raises(LookupError, match="open_session"):
        refund(42)


def test_a_tool_that_reads_may_not_write(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent:
        assert count_notes() == 0
        with pytest.raises(journal.WriteRefused, match="read"):
            count_notes(write=True)
        assert count_notes() == 0
    assert db.execute("select status from journal.steps order by ordinal").fetchall() == [
        ("completed",),
        ("failed",),
        ("completed",),
    ]


def test_a_joined_tool_is_part_of_the_open_transaction(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    joining = journal.tool(key=None, arguments=[], join=True)(lambda step: note(step.conn))
    with agent, db.transaction(force_rollback=True):
        joining()
    assert notes(db) == 0


def test_the_step_is_no_part_of_the_signature() -> None:
    assert list(inspect.signature(refund).parameters) == ["order_id", "note"]
    assert inspect.signature(refund).return_annotation == dict[str, Any]
    hints = get_type_hints(refund, include_extras=True)
    assert list(hints) == ["order_id", "note", "return"]
    assert (refund.__name__, refund.__doc__) == ("refund", "Refund an order.")
    with pytest.raises(TypeError):
        refund()


def test_what_is_decorated_wrongly_is_refused_at_once() -> None:
    def good(step: journal.Step, order_id: int) -> None: ...

    def no_step() -> None: ...

    with pytest.raises(journal.UnknownKind):
        journal.tool(kind="dangerous", key=None, arguments=[])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="returns"):
        journal.tool(returns="receipt", key=None, arguments=[])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"arguments .* amount"):
        journal.tool(key=None, arguments=["amount"])(good)
    with pytest.raises(TypeError, match=r"key .* amount"):
        journal.tool(key=lambda amount: f"{amount}", arguments=[])(good)
    with pytest.raises(TypeError, match="first parameter"):
        journal.tool(key=None, arguments=[])(no_step)
    for wrong in ("order_id", [5]):
        with pytest.raises(TypeError, match="list of parameter names"):
            journal.tool(key=None, arguments=wrong)(good)  # type: ignore[arg-type]
    for no_key in (str, "order-42"):
        with pytest.raises(TypeError, match="key is a function"):
            journal.tool(key=no_key, arguments=[])(good)  # type: ignore[arg-type]
    for no_function in (functools.partial(good), len, 5):
        with pytest.raises(TypeError, match="made of a function"):
            journal.tool(key=None, arguments=[])(no_function)  # type: ignore[arg-type]


def test_session_run_takes_no_coroutine_function_on_a_plain_connection(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    with pytest.raises(journal.UnsupportedConnection, match="what session"):
        agent.run("refund", refund_soon, key="k")
    assert statuses(db, agent) == []


def test_session_run_stores_what_was_completed_or_returned(agent: journal.AgentSession) -> None:
    def both(step: journal.Step) -> int:
        step.complete(1)
        return 2

    bodies: list[Any] = [lambda _: None, lambda step: step.complete(1), both]
    assert [agent.run("t", body, key=f"{n}").result for n, body in enumerate(bodies)] == [None, 1, 2]


def test_what_cannot_be_a_key_or_a_result_runs_nothing_or_takes_no_effect(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    def unserializable(step: journal.Step) -> object:
        note(step.conn)
        return object()

    no_key = journal.tool(key=lambda: "", arguments=[])(lambda step: note(step.conn))
    no_json = journal.tool(name="t", key=lambda: "k", arguments=[])(unserializable)
    with agent:
        with pytest.raises(journal.InvalidKey):
            no_key()
        with pytest.raises(journal.NotSerializable):
            no_json()
    assert notes(db) == 0
