"""What a step promises holds on every kind of connection, with autocommit on and off."""

# ruff: noqa: PT012, SIM117  what is tested is the body of a step, in its session

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from sqlalchemy.orm import scoped_session

import journal
import outbox
from tests import rig
from tests.contract.kinds import KINDS, Kind, entered, execute, settled, value

pytestmark = pytest.mark.filterwarnings("ignore:.*garbage collector.*:sqlalchemy.exc.SAWarning")

UPDATE = "update shop set status = 'refunded' where id = {id}"


@pytest.fixture(scope="module")
def shop_dsn(postgres: rig.Cluster) -> Iterator[str]:
    """One database for the suite: each test works on a row and keys of its own."""
    with postgres.database(template=rig.TEMPLATE) as name:
        dsn = postgres.dsn(name)
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute("create table shop (id bigint primary key, status text)")
            journal.cover(conn, "public.shop")
        yield dsn


# Autocommit decides how a link begins and ends a transaction, so each link has it on and off. What stands in front of a link (a
# pool, an engine, a factory) and which driver is behind it has no say in that: one of each with autocommit on.
_AUTOCOMMIT = {
    *("psycopg", "psycopg-async", "psycopg-pool", "sqlalchemy-connection", "sqlalchemy-session", "sqlalchemy-engine"),
    "sqlalchemy-async-session-asyncpg",
}
CASES = [(kind, on) for kind in KINDS for on in (False, True) if not on or kind.name in _AUTOCOMMIT]
# Where a caller can have a transaction open.
OPEN_CASES = [(kind, on) for kind, on in CASES if not kind.pooled and not (kind.alchemy and on)]


# The links themselves; what stands in front of them, and other drivers, take longer.
_LINKS = {"psycopg", "psycopg-async", "sqlalchemy-session", "sqlalchemy-async-session"}


def _params(cases: list[tuple[Kind, bool]]) -> list[Any]:
    return [
        pytest.param(
            (kind, on),
            id=f"{kind.name}-{'autocommit' if on else 'transactions'}",
            marks=[] if kind.name in _LINKS else [pytest.mark.long],
        )
        for kind, on in cases
    ]


on_an_open_transaction = pytest.mark.parametrize("stage", _params(OPEN_CASES), indirect=True)


@dataclass
class Stage:
    """A connection of the kind, an observer beside it, and a row that is this test's own."""

    kind: Kind
    autocommit: bool
    conn: Any
    watch: psycopg.Connection
    row: int
    key: str

    async def open(self, **options: Any) -> Any:
        return await settled(journal.open_session(self.conn, agent="bot", **options))

    def status(self) -> str:
        found = self.watch.execute("select status from shop where id = %s", [self.row]).fetchone()
        assert found is not None
        return str(found[0])

    def steps(self, session: Any) -> list[tuple[str, bool]]:
        query = "select status, receipt_id is not null from journal.steps where session_id = %s order by ordinal"
        return self.watch.execute(query, [session.id]).fetchall()

    async def is_idle(self) -> bool:
        """Whether nothing that was opened is left open on the connection."""
        if self.kind.pooled:
            return True
        if self.kind.alchemy:
            conn = self.conn() if isinstance(self.conn, scoped_session) else self.conn
            return not conn.in_transaction()
        return bool(self.conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE)

    async def update(self, conn: Any) -> None:
        await execute(conn, UPDATE.format(id=self.row))


@pytest.fixture(params=_params(CASES))
async def stage(shop_dsn: str, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    kind, autocommit = request.param
    with psycopg.connect(shop_dsn, autocommit=True) as watch:
        row = secrets.randbits(50)
        watch.execute("insert into shop values (%s, 'new')", [row])
        async with kind.opened(shop_dsn, autocommit) as conn:
            yield Stage(kind, autocommit, conn, watch, row, f"order-{row}")


async def test_rows_message_result_and_receipt_commit_together(stage: Stage) -> None:
    session = await stage.open()
    async with entered(session.step("refund", key=stage.key, arguments={"order": stage.row})) as step:
        assert not step.replayed
        await stage.update(step.conn)
        message_id = await settled(outbox.publish(step.conn, topic="refunds", key="k", data={"order": stage.row}))
        await settled(step.complete({"refund": 991}))
        assert stage.status() == "new"
        assert stage.steps(session) == []
    assert stage.status() == "refunded"
    assert step.result == {"refund": 991}
    assert step.receipt.status == "committed"
    assert step.receipt.changes == {"public.shop": {"update": 1}}
    assert step.receipt.message_ids == (message_id,)
    assert stage.steps(session) == [("completed", True)]
    assert await stage.is_idle()


async def test_a_retry_gets_the_first_result_and_receipt(stage: Stage) -> None:
    session = await stage.open()
    seen = []
    for _ in range(2):
        async with entered(session.step("refund", key=stage.key, arguments={"order": stage.row})) as step:
            if not step.replayed:
                await stage.update(step.conn)
                await settled(step.complete({"refund": 991}))
        seen.append((step.result, step.receipt, step.replayed))
    assert seen[0] == (seen[1][0], seen[1][1], False)
    assert seen[1][2] is True
    assert stage.steps(session) == [("completed", True), ("replayed", True)]
    assert await stage.is_idle()


async def test_a_replayed_body_that_writes_is_refused(stage: Stage) -> None:
    session = await stage.open()
    async with entered(session.step("refund", key=stage.key)) as step:
        await settled(step.complete(1))
    with pytest.raises(journal.ReplayedStepWrites) as caught:
        async with entered(session.step("refund", key=stage.key)) as step:
            await stage.update(step.conn)
    assert (caught.value.tool, caught.value.key) == ("refund", stage.key)
    assert stage.status() == "new"
    assert stage.steps(session) == [("completed", True), ("failed", False)]
    assert await stage.is_idle()


async def test_a_replayed_body_that_publishes_is_refused(stage: Stage) -> None:
    session = await stage.open()
    async with entered(session.step("refund", key=stage.key)) as step:
        await settled(step.complete(1))
    with pytest.raises(journal.ReplayedStepWrites):
        async with entered(session.step("refund", key=stage.key)) as step:
            await settled(outbox.publish(step.conn, topic="refunds"))


async def test_a_replayed_body_may_read(stage: Stage) -> None:
    session = await stage.open()
    async with entered(session.step("refund", key=stage.key)) as step:
        await settled(step.complete(1))
    async with entered(session.step("refund", key=stage.key)) as step:
        assert await value(step.conn, f"select status from shop where id = {stage.row}") == "new"
    assert step.replayed
    async with entered(session.step("refund", key=f"{stage.key}-next")) as step:
        await stage.update(step.conn)
    assert stage.status() == "refunded"


async def test_run_does_not_run_a_replay(stage: Stage) -> None:
    session = await stage.open()
    ran = []

    def body(step: Any) -> str:
        ran.append(step.id)
        return "done"

    first = await settled(session.run("refund", body, key=stage.key))
    second = await settled(session.run("refund", body, key=stage.key))
    assert len(ran) == 1
    assert (first.result, second.result) == ("done", "done")
    assert (first.replayed, second.replayed) == (False, True)
    assert first.receipt == second.receipt
    assert await stage.is_idle()


async def test_an_external_effect_that_nobody_heard_of_again_is_probed(stage: Stage) -> None:
    session = await stage.open()
    made: list[str] = []
    with pytest.raises(journal.OutcomeUnknown):
        async with entered(session.external("charge", key=stage.key)) as step:
            await stage.update(step.conn)
            made.append(step.provider_key)
            raise TimeoutError
    assert stage.status() == "new"
    with pytest.raises(journal.OutcomeUnknown):
        async with entered(session.external("charge", key=stage.key, probe=int)):  # no number: it cannot tell
            pytest.fail("the body ran")
    assert await stage.is_idle()
    async with entered(session.external("charge", key=stage.key, probe=made.index)) as step:
        assert step.replayed
    assert (step.result, made) == (0, [made[0]])
    async with entered(session.external("charge", key=f"{stage.key}-2")) as step:
        await stage.update(step.conn)
        await settled(step.complete("charged"))
    assert stage.status() == "refunded"
    assert step.receipt.changes == {"public.shop": {"update": 1}}
    assert (await settled(session.claim("charged", receipt=step.receipt))).verdict == "backed"
    assert await stage.is_idle()


async def test_a_tools_receipt_and_what_is_said_of_it(stage: Stage) -> None:
    session = await stage.open()
    refund = _refund_soon if stage.kind.is_async else _refund
    async with entered(session):
        answers = [await settled(refund(row=stage.row)) for _ in range(2)]
        assert [answer["replayed"] for answer in answers] == [False, True]
        assert answers[0]["result"] == answers[1]["result"] == {"row": stage.row}
        assert stage.status() == "refunded"
        reply = await settled(session.check_reply([("refunded", answers[0]["receipt"]), ("and told so", None)]))
        assert [claim.verdict for claim in reply.claims] == ["backed", "unbacked"]
        assert await settled(journal.confirm(stage.conn, answers[0]["receipt"], "mailer")) is True
        assert (await settled(journal.receipt(stage.conn, answers[0]["receipt"]))).status == "confirmed"
        assert await settled(session.undoable()) is True
        assert await stage.is_idle()


@journal.tool(key=lambda row: f"row-{row}", arguments=["row"], returns="envelope")
async def _refund_soon(step: journal.AsyncStep, row: int) -> dict[str, int]:
    await execute(step.conn, UPDATE.format(id=row))
    return {"row": row}


@journal.tool(key=lambda row: f"row-{row}", arguments=["row"], returns="envelope")
def _refund(step: journal.Step, row: int) -> dict[str, int]:
    with pytest.raises(StopIteration):  # on a connection that is not asynchronous, nothing is waited for
        execute(step.conn, UPDATE.format(id=row)).send(None)
    return {"row": row}


@on_an_open_transaction
async def test_what_is_said_in_the_callers_transaction_is_part_of_it(stage: Stage) -> None:
    session = await stage.open()
    async with entered(session.step("note", key=stage.key)) as step:
        pass
    await _begin(stage)
    assert (await settled(session.claim("noted", receipt=step))).verdict == "backed"
    assert await settled(session.check_reply([("noted", step.receipt)]))
    assert await settled(journal.confirm(stage.conn, step.receipt.id, "mailer")) is True
    await (execute(stage.conn, "rollback") if stage.autocommit else settled(stage.conn.rollback()))
    query = "select count(*) from journal.claims where session_id = %s"
    assert stage.watch.execute(query, [session.id]).fetchone() == (0,)
    assert (await settled(journal.receipt(stage.conn, step.receipt.id))).status == "committed"


async def test_an_exception_rolls_back_and_frees_the_key(stage: Stage) -> None:
    session = await stage.open()
    with pytest.raises(ZeroDivisionError):
        async with entered(session.step("refund", key=stage.key)) as step:
            await stage.update(step.conn)
            raise ZeroDivisionError
    assert stage.status() == "new"
    assert await stage.is_idle()
    async with entered(session.step("refund", key=stage.key)) as step:
        assert not step.replayed
        await stage.update(step.conn)
    assert stage.status() == "refunded"
    assert stage.steps(session) == [("failed", False), ("completed", True)]


async def test_an_error_of_the_database_rolls_back_and_passes(stage: Stage) -> None:
    session = await stage.open()
    with pytest.raises(Exception, match="division by zero"):
        async with entered(session.step("refund", key=stage.key)) as step:
            await stage.update(step.conn)
            await execute(step.conn, "select 1 / 0")
    assert stage.status() == "new"
    assert await stage.is_idle()
    async with entered(session.step("refund", key=stage.key)) as step:
        assert not step.replayed


async def test_an_error_that_the_body_hid_fails_the_step(stage: Stage) -> None:
    session = await stage.open()
    with pytest.raises(Exception, match="transaction"):
        async with entered(session.step("refund", key=stage.key)) as step:
            await stage.update(step.conn)
            with pytest.raises(Exception, match="division by zero"):
                await execute(step.conn, "select 1 / 0")
    assert stage.status() == "new"
    assert await stage.is_idle()


async def test_a_failure_is_recorded_under_the_key(stage: Stage) -> None:
    session = await stage.open()
    for _ in range(2):
        with pytest.raises(journal.StepFailed) as caught:
            async with entered(session.step("refund", key=stage.key)) as step:
                await stage.update(step.conn)
                raise journal.StepFailed({"reason": "card expired"})
        assert caught.value.result == {"reason": "card expired"}
        assert (caught.value.tool, caught.value.key) == ("refund", stage.key)
    assert stage.status() == "new"
    assert stage.steps(session) == [("failed", False)]
    async with entered(session.step("refund", key=stage.key, attempt=2)) as step:
        assert not step.replayed
    assert await stage.is_idle()


async def test_other_arguments_under_the_same_key_are_refused(stage: Stage) -> None:
    session = await stage.open()
    async with entered(session.step("refund", key=stage.key, arguments={"order": 1, "cents": 5})):
        pass
    with pytest.raises(journal.ArgumentsDiffer) as caught:
        async with entered(session.step("refund", key=stage.key, arguments={"order": 1, "cents": 6})):
            pytest.fail("the body ran")
    assert caught.value.differences == ["cents"]
    assert await stage.is_idle()


@on_an_open_transaction
async def test_a_step_in_an_open_transaction_is_refused(stage: Stage) -> None:
    session = await stage.open()
    await _begin(stage)
    with pytest.raises(journal.TransactionOpen):
        async with entered(session.step("refund", key=stage.key)):
            pytest.fail("the body ran")
    await stage.update(stage.conn)
    await _commit(stage)
    assert stage.status() == "refunded"


@on_an_open_transaction
async def test_a_joined_step_is_pending_until_the_caller_commits(stage: Stage) -> None:
    session = await stage.open()
    await _begin(stage)
    async with entered(session.step("refund", key=stage.key, join=True)) as step:
        await stage.update(step.conn)
    assert step.joined
    assert step.receipt.status == "pending"
    assert stage.status() == "new"
    await _commit(stage)
    assert stage.status() == "refunded"
    found = await settled(journal.receipt(stage.conn, step.receipt.id))
    assert found.status == "committed"
    assert found.changes == {"public.shop": {"update": 1}}


@on_an_open_transaction
async def test_a_joined_step_that_fails_leaves_the_callers_transaction_usable(stage: Stage) -> None:
    session = await stage.open()
    await _begin(stage)
    await stage.update(stage.conn)
    with pytest.raises(Exception, match="division by zero"):
        async with entered(session.step("refund", key=stage.key, join=True)) as step:
            await execute(step.conn, f"update shop set status = 'wrong' where id = {stage.row}")
            await execute(step.conn, "select 1 / 0")
    await _commit(stage)
    assert stage.status() == "refunded"
    assert stage.steps(session) == [("failed", False)]


async def test_a_nested_step_is_part_of_the_outer_one(stage: Stage) -> None:
    session = await stage.open()
    async with entered(session.step("order", key=stage.key)) as outer:
        await stage.update(outer.conn)
        inner_session = await settled(journal.resume_session(outer.conn, session.id))
        async with entered(inner_session.step("note", key=stage.key, join=True)) as inner:
            await stage.update(inner.conn)
            await stage.update(inner.conn)
        assert inner.receipt.status == "pending"
        await stage.update(outer.conn)
    assert inner.joined
    assert not outer.joined
    assert inner.receipt.changes == {"public.shop": {"update": 2}}
    assert outer.receipt.changes == {"public.shop": {"update": 2}}
    assert inner.receipt.status == "committed"
    assert await stage.is_idle()


async def test_commit_in_the_body_is_forbidden(stage: Stage) -> None:
    session = await stage.open()
    with pytest.raises(Exception, match="forbidden"):
        async with entered(session.step("refund", key=stage.key)) as step:
            await stage.update(step.conn)
            await settled(step.conn.commit())
    assert stage.status() == "new"
    assert stage.steps(session) == [("failed", False)]
    assert await stage.is_idle()


async def test_a_committing_statement_in_the_body_fails_the_step(stage: Stage) -> None:
    session = await stage.open()
    with pytest.raises(journal.ConnectionUseError):
        async with entered(session.step("refund", key=stage.key)) as step:
            await execute(step.conn, "commit")
            await execute(step.conn, "begin")
    assert await stage.is_idle()
    with pytest.raises(journal.StepError, match="unknown"):
        async with entered(session.step("refund", key=stage.key)):
            pytest.fail("the body ran")


async def test_publish_outside_a_transaction_commits_its_own(stage: Stage) -> None:
    message_id = await settled(
        outbox.publish(stage.conn, topic="refunds", key="k", data={"n": 1.5}, headers={"a": "b"})
    )
    found = stage.watch.execute(
        "select topic, data from outbox.messages where message_id = %s", [message_id]
    ).fetchone()
    assert found == ("refunds", {"n": 1.5})
    assert await stage.is_idle()


async def test_leaving_the_session_closes_it(stage: Stage) -> None:
    async with entered(journal.open_session(stage.conn, agent="bot")) as session:
        assert journal.current_session() is session
    with pytest.raises(LookupError):
        journal.current_session()
    assert _session_status(stage, session) == "closed"
    with pytest.raises(journal.SessionClosed):
        async with entered(session.step("refund")):
            pytest.fail("the body ran")
    assert await stage.is_idle()


async def test_leaving_the_session_by_an_exception_closes_it_as_failed(stage: Stage) -> None:
    with pytest.raises(ZeroDivisionError):
        async with entered(journal.open_session(stage.conn, agent="bot")) as session:
            raise ZeroDivisionError
    assert _session_status(stage, session) == "failed"


async def test_a_stopped_session_takes_no_step(stage: Stage) -> None:
    session = await stage.open()
    await settled(journal.stop_session(stage.conn, session.id, "enough"))
    with pytest.raises(journal.SessionStopped, match="enough"):
        async with entered(session.step("refund")):
            pytest.fail("the body ran")
    assert await stage.is_idle()


async def test_the_session_is_rolled_back(stage: Stage) -> None:
    async with entered(journal.open_session(stage.conn, agent="bot")) as session:
        async with entered(session.step("refund", key=stage.key)) as step:
            await stage.update(step.conn)
    plan = await settled(journal.plan_rollback(stage.conn, session.id))
    assert plan.outcome == "planned"
    assert stage.status() == "refunded"
    report = await settled(journal.rollback(stage.conn, plan))
    assert report.outcome == "done"
    assert stage.status() == "new"
    assert await stage.is_idle()
    again = await stage.open()
    with pytest.raises(journal.StepReversed) as caught:
        async with entered(again.step("refund", key=stage.key)):
            pytest.fail("the body ran")
    assert caught.value.next_attempt == 2
    assert caught.value.rollback_id == str(report.rollback_id)


def _session_status(stage: Stage, session: Any) -> str:
    found = stage.watch.execute("select status from journal.sessions where session_id = %s", [session.id]).fetchone()
    assert found is not None
    return str(found[0])


async def _begin(stage: Stage) -> None:
    if stage.autocommit:
        await execute(stage.conn, "begin")
    await execute(stage.conn, "select 1")


async def _commit(stage: Stage) -> None:
    if stage.autocommit:
        await execute(stage.conn, "commit")
    else:
        await settled(stage.conn.commit())
