"""Effects outside the database: announced first, never made twice, and where nobody knows, the provider or a person is asked."""

# ruff: noqa: PT012  what is tested is the body of a step

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import psycopg
import pytest

import journal
from tests.journal.steps.conftest import Connect
from tests.journal.steps.provider import Provider, provider
from tests.journal.steps.support import Beside, Line, column, note, notes, one, statuses, wait_until_blocked


@pytest.fixture
def bank() -> Iterator[Provider]:
    with provider() as made:
        yield made


def charge(agent: journal.AgentSession, bank: Provider, key: str = "order-42", **options: Any) -> journal.External:
    """A charge, with a note of it in the same commit."""
    with agent.external("charge", key=key, arguments={"order": 42}, **options) as step:
        if not step.replayed:
            note(step.conn, "charged")
            answer = bank.charge(step.provider_key)
            if "declined" in answer:
                raise journal.StepFailed(answer)
            step.complete(answer)
    return step


def test_the_effect_is_made_once_and_its_result_replayed(
    db: psycopg.Connection, agent: journal.AgentSession, bank: Provider
) -> None:
    first, again = charge(agent, bank), charge(agent, bank)
    assert (first.replayed, again.replayed) == (False, True)
    assert first.result == again.result == {"charge": "ch_0"}
    assert first.receipt == again.receipt
    assert first.receipt is not None
    assert first.receipt.changes == {"public.notes": {"insert": 1}}
    assert len(bank.charges) == notes(db) == 1
    assert statuses(db, agent) == ["completed", "replayed"]
    assert one(db, "select count(*) from journal.receipts") == 1


def test_the_intent_is_committed_before_anything_is_sent(
    watch: psycopg.Connection, agent: journal.AgentSession
) -> None:
    with agent.external("charge", key="k") as step:
        shown = watch.execute("select step_id, status, provider_key from journal.externals").fetchall()
        assert shown == [(step.id, "intended", step.provider_key)]
        assert statuses(watch, agent) == ["intended"]
    assert column(watch, "select status from journal.externals") == ["completed"]


def test_the_provider_key_is_stable_and_says_nothing(
    agent: journal.AgentSession, bank: Provider, superuser_dsn: str
) -> None:
    bank.mood = "is away"
    with pytest.raises(journal.OutcomeUnknown):
        charge(agent, bank)
    bank.mood = "fine"
    charge(agent, bank, probe=bank.find)
    charge(agent, bank, key="order-43")
    with psycopg.connect(superuser_dsn) as admin:
        asked = column(admin, "select provider_key from journal.external order by step_id")
    assert asked[0] == asked[1] == bank.charges[0]
    assert asked[2] == bank.charges[1] != bank.charges[0]
    assert "order" not in asked[0]


def test_a_replay_has_no_provider_key_to_send(agent: journal.AgentSession, bank: Provider) -> None:
    charge(agent, bank)
    with (
        pytest.raises(journal.ReplayedStepWrites),
        agent.external("charge", key="order-42", arguments={"order": 42}) as step,
    ):
        bank.charge(step.provider_key)
    assert len(bank.charges) == 1


@pytest.mark.parametrize(("mood", "made"), [("loses the reply", 1), ("is away", 0)])
def test_a_lost_reply_is_an_unknown_outcome_until_the_probe_tells(
    db: psycopg.Connection, agent: journal.AgentSession, bank: Provider, mood: str, made: int
) -> None:
    bank.mood = mood
    with pytest.raises(journal.OutcomeUnknown) as caught:
        charge(agent, bank)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.retryable
    assert notes(db) == 0
    assert statuses(db, agent) == ["unknown"]
    bank.mood = "fine"
    step = charge(agent, bank, probe=bank.find)
    assert step.result == {"charge": "ch_0"}
    assert step.replayed is bool(made)
    assert len(bank.charges) == 1
    assert notes(db) == 1 - made
    assert statuses(db, agent) == (["completed", "replayed"] if made else ["failed", "completed"])


def test_without_a_probe_it_is_never_run_again_blindly(
    db: psycopg.Connection, agent: journal.AgentSession, bank: Provider
) -> None:
    bank.mood = "loses the reply"
    with pytest.raises(journal.OutcomeUnknown):
        charge(agent, bank)
    for _ in range(2):
        with pytest.raises(journal.OutcomeUnknown, match="nobody knows"):
            charge(agent, bank)
    with pytest.raises(journal.OutcomeUnknown), agent.step("charge", key="order-42", arguments={"order": 42}):
        pytest.fail("the body ran")
    assert len(bank.charges) == 1
    assert notes(db) == 0


def test_its_result_is_the_stored_one_also_the_first_time(agent: journal.AgentSession) -> None:
    results = []
    for _ in range(2):
        with agent.external("charge", key="k") as step:
            if not step.replayed:
                step.complete({"cents": 1e22, "at": (1, 2.0)})
        results.append(repr(step.result))
    assert results == [repr({"at": [1, 2.0], "cents": 10**22})] * 2


@pytest.mark.parametrize("before", ["external", "failed", "step"])
def test_an_expired_key_is_another_effect_with_another_intent_and_provider_key(
    watch: psycopg.Connection, agent: journal.AgentSession, superuser_dsn: str, before: str
) -> None:
    seen = set()
    if before == "step":
        with agent.step("charge", key="k"):
            pass
    else:
        with contextlib.suppress(journal.StepFailed), agent.external("charge", key="k") as step:
            seen.add(step.provider_key)
            if before == "failed":
                raise journal.StepFailed("declined")
    for _ in range(2):
        expire_keys(superuser_dsn)
        with pytest.raises(journal.OutcomeUnknown), agent.external("charge", key="k") as step:
            assert step.provider_key not in seen
            assert column(watch, "select 1 from journal.externals where status = 'intended'") == [1]
            seen.add(step.provider_key)
            raise TimeoutError
        with agent.external("charge", key="k", probe=lambda _: None) as again:
            assert again.provider_key == step.provider_key
    with agent.external("charge", key="k") as step:
        assert step.replayed


def test_an_unknown_outcome_never_expires(agent: journal.AgentSession, superuser_dsn: str) -> None:
    with pytest.raises(journal.OutcomeUnknown), agent.external("charge", key="k"):
        raise TimeoutError
    expire_keys(superuser_dsn)
    for call in (agent.external, agent.step):
        with pytest.raises(journal.OutcomeUnknown), call("charge", key="k"):
            pytest.fail("the body ran")


def expire_keys(superuser_dsn: str) -> None:
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        admin.execute("update journal.step set key_expires_at = now() - interval '1 second'")


def test_a_probe_reads_in_the_transaction_and_leaves_nothing_there(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    with pytest.raises(journal.OutcomeUnknown), agent.external("charge", key="k"):
        raise TimeoutError
    for broken in ("insert into notes (note) values ('x')", "select 1 / 0", "no sql"):
        with pytest.raises(journal.OutcomeUnknown) as caught:
            agent.external("charge", key="k", probe=partial(asking, db, broken)).__enter__()
        assert isinstance(caught.value.__cause__, psycopg.Error)
    with agent.external("charge", key="k", probe=lambda _: one(db, "select count(*) from notes")) as step:
        assert step.replayed
    assert step.result == 0


def asking(db: psycopg.Connection, sql: str, _: str) -> None:
    db.execute(sql.encode())


def test_a_coroutine_function_is_no_probe_of_a_plain_session(agent: journal.AgentSession) -> None:
    async def find(_: str) -> None: ...

    with pytest.raises(journal.UnsupportedConnection, match="the probe"):
        agent.external("charge", key="k", probe=find)


def test_a_probe_that_cannot_tell_leaves_it_unknown(
    db: psycopg.Connection, agent: journal.AgentSession, bank: Provider
) -> None:
    bank.mood = "is away"
    for _ in range(2):
        with pytest.raises(journal.OutcomeUnknown) as caught:
            charge(agent, bank, probe=bank.find)
    assert isinstance(caught.value.__cause__, OSError)
    assert one(db, "select error ->> 'type' from journal.externals") == "builtins.ConnectionError"
    assert bank.charges == []


def test_a_refusal_of_the_provider_is_recorded_for_good(
    db: psycopg.Connection, agent: journal.AgentSession, bank: Provider
) -> None:
    bank.mood = "declines"
    for _ in range(2):
        with pytest.raises(journal.StepFailed) as caught:
            charge(agent, bank)
        assert caught.value.result == {"declined": "no funds"}
    assert statuses(db, agent) == ["failed"]
    bank.mood = "fine"
    assert charge(agent, bank, attempt=2).result == {"charge": "ch_0"}
    assert notes(db) == 1


@pytest.mark.parametrize(("outcome", "raised"), [("completed", None), ("failed", journal.StepFailed)])
def test_a_person_says_what_happened(
    watch: psycopg.Connection, agent: journal.AgentSession, bank: Provider, outcome: str, raised: Any
) -> None:
    bank.mood = "loses the reply"
    with pytest.raises(journal.OutcomeUnknown):
        charge(agent, bank)
    step_id = one(watch, "select step_id from journal.externals where status = 'unknown'")
    for told in (True, False):
        assert one(watch, "select journal.resolve_external(%s, %s, 'the bank says so')", step_id, outcome) is told
    assert watch.execute("select status, note, settled_by = session_user from journal.externals").fetchall() == [
        (outcome, "the bank says so", True)
    ]
    if raised:
        with pytest.raises(raised):
            charge(agent, bank)
    else:
        assert charge(agent, bank).replayed
    assert len(bank.charges) == 1


def test_a_person_says_completed_or_failed(watch: psycopg.Connection, agent: journal.AgentSession) -> None:
    with pytest.raises(journal.OutcomeUnknown), agent.external("charge", key="k") as step:
        raise TimeoutError
    for outcome in (None, "unknown", ""):
        with pytest.raises(psycopg.DatabaseError) as caught:
            watch.execute("select journal.resolve_external(%s, %s, 'seen')", [step.id, outcome])
        assert isinstance(journal.from_database(caught.value), journal.StepError)
    assert statuses(watch, agent) == ["unknown"]


def test_a_second_caller_waits_and_gets_the_result(
    db: psycopg.Connection, watch: psycopg.Connection, connect: Connect, agent: journal.AgentSession, bank: Provider
) -> None:
    other = connect()
    with agent.external("charge", key="order-42", arguments={"order": 42}) as step:
        with pytest.raises(journal.StepInProgress):
            charge(journal.open_session(other, agent="bot"), bank, wait=0)
        beside = Beside(lambda: charge(journal.open_session(other, agent="bot"), bank, probe=bank.find))
        wait_until_blocked(watch, other.info.backend_pid)
        step.complete(bank.charge(step.provider_key))
    assert beside.outcome().replayed
    assert beside.outcome().result == step.result == {"charge": "ch_0"}
    assert len(bank.charges) == 1
    assert notes(db) == 0


def test_callers_at_once_make_it_once_and_all_know(connect: Connect, bank: Provider) -> None:
    """Whoever comes between the intent and its maker neither makes it nor gives it up for unknown."""
    conns = [connect() for _ in range(4)]
    together = threading.Barrier(len(conns))

    def call(conn: psycopg.Connection) -> tuple[bool, Any]:
        session = journal.open_session(conn, agent="bot")
        together.wait()
        with session.external("charge", key="k") as step:
            if not step.replayed:
                step.complete(bank.charge(step.provider_key))
        return step.replayed, step.result

    with ThreadPoolExecutor(len(conns)) as pool:
        answers = list(pool.map(call, conns))
    assert sorted(replayed for replayed, _ in answers) == [False, True, True, True]
    assert [result for _, result in answers] == [{"charge": "ch_0"}] * 4


def test_an_intent_is_given_a_moment_to_be_taken(
    agent: journal.AgentSession, bank: Provider, superuser_dsn: str
) -> None:
    """A client that died right after it announced the effect looks just like one that is about to make it."""
    effect = agent.external("charge", key="k")
    with pytest.raises(journal.OutcomeUnknown), effect as step:
        bank.charge(step.provider_key)
        raise TimeoutError
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        admin.execute("update journal.external set status = 'intended'")
        admin.execute("update journal.step set started_at = clock_timestamp()")
        with pytest.raises(journal.StepInProgress), agent.external("charge", key="k", wait=0.02):
            pytest.fail("the body ran")
        admin.execute("update journal.step set started_at = clock_timestamp() - interval '1 s'")
    with pytest.raises(journal.OutcomeUnknown), effect:  # entered again, it is another call
        pytest.fail("the body ran")
    assert len(bank.charges) == 1


def test_a_lost_commit_is_found_out_by_the_next_call(dsn: str, db: psycopg.Connection, bank: Provider) -> None:
    for key in ("lose_commit", "lose_reply"):
        line = Line(dsn)
        with psycopg.connect(line.dsn, autocommit=True) as cut:
            session = journal.open_session(cut, agent="bot")
            with pytest.raises(journal.OutcomeUnknown), session.external("charge", key=key) as step:
                note(cut)
                step.complete(bank.charge(step.provider_key))
                getattr(line, key)()
        line.close()
    again = journal.open_session(db, agent="bot")
    for key in ("lose_commit", "lose_reply"):
        with again.external("charge", key=key, probe=bank.find) as step:
            assert step.replayed
    assert len(bank.charges) == 2
    assert notes(db) == 1  # the first was never committed


def test_a_rollback_lists_what_it_cannot_take_back(
    db: psycopg.Connection, watch: psycopg.Connection, agent: journal.AgentSession, bank: Provider
) -> None:
    charge(agent, bank)
    report = journal.rollback(db, agent)
    assert report.outcome == "partly"
    assert notes(db) == 0
    left = watch.execute("select kind, key, reason from journal.residue").fetchall()
    assert left == [("external", "order-42", "made outside the database")]
    with pytest.raises(journal.StepReversed) as caught:
        charge(journal.open_session(db, agent="bot"), bank)
    assert caught.value.next_attempt == 2


@pytest.mark.parametrize(
    ("key", "arguments", "expected"),
    [(None, {}, journal.InvalidKey), ("x" * 513, {}, journal.InvalidKey), ("k", {"order": 1}, journal.ArgumentsDiffer)],
)
def test_what_is_asked_wrongly_sends_nothing(
    agent: journal.AgentSession, bank: Provider, key: Any, arguments: dict[str, Any], expected: type[Exception]
) -> None:
    bank.mood = "is away"
    with pytest.raises(journal.OutcomeUnknown):
        charge(agent, bank, key="k")
    with pytest.raises(expected), agent.external("charge", key=key, arguments=arguments, probe=bank.find):
        pytest.fail("the body ran")


def test_reading_is_no_external_effect(agent: journal.AgentSession) -> None:
    with pytest.raises(journal.UnknownKind, match="read"), agent.external("look up", key="k", kind="read"):
        pytest.fail("the body ran")


def test_it_has_transactions_of_its_own(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with db.transaction(), pytest.raises(journal.TransactionOpen), agent.external("charge", key="k"):
        pytest.fail("the body ran")


async def test_on_an_asynchronous_connection(
    aconn: psycopg.AsyncConnection, conn: psycopg.Connection, bank: Provider
) -> None:
    async def find(key: str) -> Any:
        return bank.find(key)

    session = await journal.open_session(aconn, agent="bot")
    bank.mood = "loses the reply"
    with pytest.raises(journal.OutcomeUnknown):
        async with session.external("charge", key="k") as step:
            bank.charge(step.provider_key)
    bank.mood = "fine"
    async with session.external("charge", key="k", probe=find) as step:
        assert step.replayed
    assert step.result == {"charge": "ch_0"}
    assert one(conn, "select count(*) from journal.receipts") == 1


def test_a_crash_between_any_two_lines(connect: Connect, dsn: str, bank: Provider) -> None:
    """Each client died one line later than the one before; a retry that asks the provider ends with one charge and one receipt."""
    conn = connect()
    conn.execute("create table notes (id bigint generated always as identity primary key, note text)")
    journal.cover(conn, "notes")
    program = [sys.executable, "-m", "tests.journal.steps.dying_client", dsn, str(bank.port)]
    died = int(subprocess.run(program, check=True, capture_output=True, text=True).stdout)
    assert died > 30
    with journal.open_session(conn, agent="bot") as agent:
        for number in range(1, died + 1):
            with agent.external("charge", key=f"order-{number}", probe=bank.find) as step:
                if not step.replayed:
                    step.complete(bank.charge(step.provider_key))
    assert len(bank.charges) == len(set(bank.charges)) == died + 1
    assert one(conn, "select count(*) from journal.receipts") == died + 1
    assert one(conn, "select count(*) from journal.externals where status = 'completed'") == died + 1
    assert one(conn, "select count(*) from journal.externals where status in ('intended', 'unknown')") == 0
