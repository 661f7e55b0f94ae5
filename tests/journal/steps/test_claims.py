"""What an agent says it did is held against receipts, by ids; and what a receipt stands for goes on after its commit."""

# ruff: noqa: PT012  what is tested is the body of a step

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

import journal
import outbox
from tests.journal.cli.conftest import run
from tests.journal.steps.support import column, note, one
from tests.relay.support import drain


def noted(agent: journal.AgentSession, **options: Any) -> journal.Step:
    with agent.step("note", **options) as step:
        note(step.conn)
    return step


def test_a_receipt_backs_a_claim(watch: psycopg.Connection, agent: journal.AgentSession) -> None:
    step = noted(agent, key="k")
    replay = noted_again(agent)
    assert step.receipt is not None
    proofs: list[Any] = [step.receipt, step.receipt.id, str(step.receipt), step, step.id, replay.id]
    for proof in proofs:
        claim = agent.claim("the note was written", receipt=proof)
        assert (claim.verdict, claim.receipt_id) == ("backed", step.receipt.id)
    shown = watch.execute("select distinct session_id, receipt_id, claim, verdict from journal.claims").fetchall()
    assert shown == [(agent.id, step.receipt.id, "the note was written", "backed")]


def noted_again(agent: journal.AgentSession) -> journal.Step:
    with agent.step("note", key="k") as step:
        assert step.replayed
    return step


@pytest.mark.parametrize(
    "proof", [None, uuid4(), str(uuid4()), "receipt-1", ""], ids=["none", "uuid", "text", "name", "empty"]
)
def test_a_claim_without_a_receipt_is_unbacked(agent: journal.AgentSession, proof: Any) -> None:
    assert agent.claim("refund submitted", receipt=proof).verdict == "unbacked"


def test_what_is_claimed_wrongly_is_refused_in_our_words_and_records_nothing(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    def refused(ask: Callable[..., object], *given: Any, **options: Any) -> str:
        with pytest.raises(journal.ProofError) as caught:
            ask(*given, **options)
        assert caught.value.hint
        return str(caught.value)

    texts: list[Any] = [5, b"x", {"a": 1}, "a\0b", "\ud800"]
    for text in texts:
        assert refused(agent.claim, text, receipt=None).startswith("a claim is text")
    for nothing in ("", None):
        assert refused(agent.claim, nothing, receipt=None) == "a claim says something"
    proofs: list[Any] = [5, b"x", {"receipt": 1}, object(), ["receipt"]]
    for proof in proofs:
        assert "what backs a claim" in refused(agent.claim, "done", receipt=proof)
    for claims in ("done", None, 5, {"done": None}):
        assert "are a list" in refused(agent.check_reply, claims)
    for claim in (5, None, "ab", ("done",), ("done", None, 3)):
        assert "or pairs" in refused(agent.check_reply, [("fine", None), claim])
    assert refused(agent.check_reply, [("fine", None), ("", None)]) == "a claim says something"
    assert column(db, "select 1 from journal.claims") == []


def test_a_reply_is_not_backed_by_claims_that_are_not_on_record(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    """Left out, they would let pass whatever the reply says."""
    with pytest.raises(ZeroDivisionError), agent.step("note") as step:
        undone = agent.claim("the note was written", receipt=step)
        raise ZeroDivisionError
    made_up = journal.Claim(uuid4(), "refund submitted", uuid4(), "backed")
    elsewhere = journal.open_session(db, agent="bot", tenant="south")
    foreign = elsewhere.claim("done", receipt=noted(elsewhere))
    reply = agent.check_reply([undone, made_up, foreign])
    assert not reply
    assert [claim.text for claim in reply.unbacked] == ["the note was written", "refund submitted", "done"]


def test_claims_of_a_child_session_are_judged_in_the_reply(agent: journal.AgentSession) -> None:
    child = agent.child(agent="helper")
    good, bad = child.claim("noted", receipt=noted(child)), child.claim("refunded", receipt=None)
    assert agent.check_reply([good])
    assert agent.check_reply([bad, good]).unbacked == (bad,)


def test_a_receipt_of_another_tenant_backs_nothing(db: psycopg.Connection) -> None:
    south = journal.open_session(db, agent="bot", tenant="south")
    north = journal.open_session(db, agent="bot", tenant="north")
    assert north.claim("done", receipt=noted(south).receipt).verdict == "unbacked"
    assert north.claim("done", receipt=noted(north).receipt).verdict == "backed"


def test_a_failed_step_contradicts_a_claim(agent: journal.AgentSession) -> None:
    with pytest.raises(journal.StepFailed), agent.step("refund", key="k") as step:
        raise journal.StepFailed("declined")
    assert agent.claim("refund submitted", receipt=step).verdict == "contradicted"
    with pytest.raises(ZeroDivisionError), agent.step("refund") as step:
        raise ZeroDivisionError
    assert agent.claim("refund submitted", receipt=step.id).verdict == "contradicted"


def test_an_external_effect_backs_a_claim_once_it_is_known(agent: journal.AgentSession) -> None:
    with pytest.raises(journal.OutcomeUnknown), agent.external("charge", key="k") as step:
        raise TimeoutError
    claim = agent.claim("charged", receipt=step.id)
    assert claim.verdict == "unbacked"
    with agent.external("charge", key="k", probe=lambda _: "found") as again:
        assert again.replayed
    assert [known.verdict for known in agent.check_reply([claim]).backed] == ["backed"]


def test_a_reply_is_checked_before_it_is_sent(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    good = agent.claim("the note was written", receipt=noted(agent).receipt)
    assert agent.check_reply([])
    assert agent.check_reply([good]).backed == (good,)
    reply = agent.check_reply([good, ("refund submitted", None), ("and again", noted(agent))])
    assert not reply
    assert [claim.text for claim in reply.claims] == ["the note was written", "refund submitted", "and again"]
    assert [claim.text for claim in reply.unbacked] == ["refund submitted"]
    assert reply.contradicted == ()
    assert sorted(column(db, "select verdict from journal.claims")) == ["backed", "backed", "unbacked"]
    db.commit()
    journal.rollback(db, agent)
    assert [claim.text for claim in agent.check_reply([good]).contradicted] == ["the note was written"]


def test_claims_are_made_by_the_sessions_own_user(
    db: psycopg.Connection, agent: journal.AgentSession, superuser_dsn: str
) -> None:
    unknown = "select journal.claim(gen_random_uuid(), 'done')"
    with pytest.raises(psycopg.Error) as caught:
        db.execute(unknown)
    assert isinstance(journal.from_database(caught.value), journal.UnknownSession)
    db.rollback()
    with pytest.raises(journal.ProofError):
        agent.claim("", receipt=None)
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        admin.execute("create role stranger superuser")
        try:
            admin.execute("set session authorization stranger")
            with pytest.raises(journal.NotSessionOwner):
                journal.AgentSession(admin, agent._facts, closes=False).claim("done", receipt=None)
        finally:
            admin.execute("reset session authorization")
            admin.execute("drop role stranger")


async def test_asynchronously(aconn: psycopg.AsyncConnection) -> None:
    async with journal.open_session(aconn, agent="bot") as agent:
        async with agent.step("look") as step:
            pass
        claim = await agent.claim("looked", receipt=step.receipt)
        assert claim.verdict == "backed"
        assert await agent.check_reply([claim])
        assert not await agent.check_reply([("refunded", None)])
        assert await agent.undoable()


def test_undoable_says_whether_a_rollback_would_take_back_all(
    db: psycopg.Connection, watch: psycopg.Connection, agent: journal.AgentSession
) -> None:
    with agent.step("change"):
        db.execute("update orders set status = 'theirs' where id = 42")
    assert agent.undoable()
    watch.execute("update orders set status = 'someone else''s' where id = 42")
    assert not agent.undoable()


def test_claims_at_the_shell_are_a_gate(dsn: str, agent: journal.AgentSession) -> None:
    assert run(dsn, "claims", "--check").code == 0
    agent.claim("the note was written", receipt=noted(agent))
    assert run(dsn, "claims", "--unbacked", "--check").code == 0
    claim = agent.claim("refund submitted", receipt=None)
    assert run(dsn, "claims", "--unbacked").code == 0
    done = run(dsn, "claims", "--unbacked", "--check", "--json")
    assert done.code == 1
    assert [(row["claim_id"], row["verdict"]) for row in done.lines] == [(str(claim.id), "unbacked")]
    assert len(run(dsn, "claims", "--json").lines) == 2
    assert "refund submitted" in run(dsn, "claims").out


def test_external_effects_at_the_shell(dsn: str, agent: journal.AgentSession) -> None:
    with pytest.raises(journal.OutcomeUnknown), agent.external("charge", key="k") as step:
        raise TimeoutError
    (shown,) = run(dsn, "external", "--unknown", "--json").lines
    assert (shown["step_id"], shown["status"]) == (str(step.id), "unknown")
    words = ("external", "resolve", str(step.id)[-8:], "completed", "--note", "seen at the bank")
    assert [run(dsn, *words).code for _ in range(2)] == [0, 4]
    assert run(dsn, "external", "--unknown", "--json").lines == []
    assert "seen at the bank" in run(dsn, "external").out
    assert run(dsn, "external", "resolve", uuid4(), "failed", "--note", "?").code == 1
    assert run(dsn, "external", "resolve", step.id, "perhaps", "--note", "?").code == 2


def test_a_receipt_is_delivered_and_confirmed(
    db: psycopg.Connection, watch: psycopg.Connection, dsn: str, agent: journal.AgentSession, tmp_path: Path
) -> None:
    status = "select status from journal.receipts where receipt_id = %s"
    silent = noted(agent).receipt
    with agent.step("note") as step:
        outbox.publish(db, topic="notes")
        outbox.publish(db, topic="other")
    assert step.receipt is not None
    assert silent is not None
    for name, topic, expected in (("notes", "notes", "committed"), ("all", "*", "delivered")):
        drain(dsn, f"file://{tmp_path}/{name}.jsonl", "--name", name, "--topic", topic)
        assert one(watch, status, step.receipt.id) == expected
    assert one(watch, status, silent.id) == "committed"
    assert [journal.confirm(db, step.receipt.id, "mailer") for _ in range(2)] == [True, False]
    assert journal.receipt(db, step.receipt.id).status == "confirmed"
    shown = watch.execute(
        "select delivered_at is null, confirmed_at is null from journal.receipts order by committed_at"
    )
    assert shown.fetchall() == [(True, True), (False, False)]
    journal.rollback(db, agent)
    assert one(watch, status, step.receipt.id) == "reversed"


def test_who_confirms_must_name_the_receipt_and_himself(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    receipt = noted(agent).receipt
    assert receipt is not None
    for wrong in (uuid4(), "no id"):
        with pytest.raises(journal.UnknownReceipt):
            journal.confirm(db, wrong, "mailer")
    for nobody in ("", None, 5, "a\0b", "x" * 513):
        with pytest.raises(journal.ProofError, match="the name of"):
            journal.confirm(db, receipt.id, nobody)  # type: ignore[arg-type]
