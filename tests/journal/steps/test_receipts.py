"""A receipt says what its step did, in the step's own commit."""

# ruff: noqa: PT012  what is tested is the body of a step, in its session

from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError
from uuid import UUID, uuid4

import psycopg
import pytest

import journal
import outbox
from tests.journal.steps.support import column, note, one


def receipt_of(step: journal.Step) -> journal.Receipt:
    assert step.receipt is not None
    return step.receipt


def test_a_receipt_is_frozen_hashable_and_prints_its_id(agent: journal.AgentSession) -> None:
    with agent.step("note") as step:
        pass
    receipt = receipt_of(step)
    assert str(receipt) == str(receipt.id)
    assert {receipt: 1}[receipt] == 1
    with pytest.raises(FrozenInstanceError):
        receipt.status = "confirmed"  # type: ignore[misc]


def test_it_is_found_by_its_id(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("note", key="k") as step:
        note(db)
        message_id = outbox.publish(db, topic="notes")
    found = journal.receipt(db, receipt_of(step).id)
    assert found == step.receipt
    assert journal.receipt(db, str(found)) == found
    assert (found.session_id, found.step_id, found.status) == (agent.id, step.id, "committed")
    assert found.message_ids == (message_id,)
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    for unknown in (uuid4(), "x"):
        with pytest.raises(journal.UnknownReceipt):
            journal.receipt(db, unknown)


def test_its_digest_is_the_sha256_of_its_document(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("note", key="ä", arguments={"b": 1.50, "aa": [None, True]}) as step:
        note(db)
        step.complete({"text": "\u2028 ü"})
    text = one(db, "select document::text from journal.receipts")
    digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    assert one(db, "select digest from journal.receipts") == digest == receipt_of(step).digest


def test_its_document_says_all(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("note", key="k", arguments={"a": 1}, kind="reversible") as step:
        note(db)
        message_id = outbox.publish(db, topic="notes")
        step.complete({"n": 1})
    document = one(db, "select document from journal.receipts")
    assert document["receipt_id"] == str(receipt_of(step).id)
    assert document["session_id"] == str(agent.id)
    assert document["step_id"] == str(step.id)
    assert (document["tool"], document["key"], document["attempt"], document["tenant"]) == ("note", "k", 1, "")
    assert (document["arguments"], document["result"], document["kind"]) == ({"a": 1}, {"n": 1}, "reversible")
    assert document["changes"] == {"public.notes": {"insert": 1}}
    assert document["message_ids"] == [str(message_id)]
    assert document["db_user"] == one(db, "select session_user::text")
    assert document["schema"] == "journal.receipt/1"


def test_it_counts_rows_per_table_and_operation(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("many") as step:
        for _ in range(3):
            note(db)
        db.execute("update notes set note = 'y'")
        db.execute("delete from notes where id = (select min(id) from notes)")
        db.execute("update orders set status = 'x' where false")
        db.execute("update orders set status = 'x'")
    assert receipt_of(step).changes == {
        "public.notes": {"insert": 3, "update": 3, "delete": 1},
        "public.orders": {"update": 2},
    }


def test_it_counts_what_triggers_and_cascades_did(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with db.transaction():
        db.execute("create table parts (id int primary key, order_id int references orders on delete cascade)")
        db.execute("insert into parts select g, 42 from generate_series(1, 5) g")
        db.execute(
            "create function log_order() returns trigger language plpgsql as "
            "$$ begin insert into notes (note) values ('deleted'); return null; end $$"
        )
        db.execute("create trigger log_order after delete on orders for each row execute function log_order()")
    journal.cover(db, "parts")
    with agent.step("delete") as step:
        db.execute("delete from orders where id = 42")
    assert receipt_of(step).changes == {
        "public.orders": {"delete": 1},
        "public.parts": {"delete": 5},
        "public.notes": {"insert": 1},
    }


def test_a_table_that_is_not_covered_is_not_in_it(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    db.execute("create table bare (id int)")
    db.commit()
    with agent.step("bare") as step:
        db.execute("insert into bare values (1)")
    assert receipt_of(step).changes == {}


def test_it_is_counted_in_the_ledger_and_no_image_is_read(db: psycopg.Connection, superuser_dsn: str) -> None:
    assert db is not None
    with psycopg.connect(superuser_dsn) as admin:
        agent = journal.open_session(admin, agent="bot")
        with agent.step("note") as step:
            note(admin)
            for segment in column(admin, "select segment from journal.segments"):
                admin.execute(f"alter table journal.{segment} rename to {segment}_put_aside".encode())
    assert receipt_of(step).changes == {"public.notes": {"insert": 1}}


def test_messages_are_in_the_order_published(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("tell") as step:
        published = tuple(outbox.publish(db, topic="notes", key=str(n % 2)) for n in range(5))
    assert receipt_of(step).message_ids == published


def test_a_failed_step_has_none(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with pytest.raises(ZeroDivisionError), agent.step("note", key="k") as step:
        note(db)
        raise ZeroDivisionError
    assert step.receipt is None
    assert column(db, "select 1 from journal.receipts") == []


def test_a_rollback_reverses_it(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with agent.step("note") as step:
        note(db)
    report = journal.rollback(db, agent)
    receipt_id = receipt_of(step).id
    assert journal.receipt(db, receipt_id).status == "reversed"
    query = "select array[reversed_by::text, (reversed_at is not null)::text] from journal.receipts"
    assert one(db, query) == [str(report.rollback_id), "true"]
    assert report.as_json()["receipts_reversed"] == 1
    assert journal.receipt(db, receipt_id).digest == receipt_of(step).digest
    journal.rollback(db, report.rollback_id)
    assert journal.receipt(db, receipt_id).status == "committed"
    assert one(db, "select reversed_by from journal.receipts") is None


def test_complete_step_twice_is_refused(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    with pytest.raises(psycopg.DatabaseError, match="completed already"), db.transaction():
        (step_id,) = column(db, "select step_id from journal.begin_step(%s, 'note')", agent.id)
        db.execute("select journal.complete_step(%s)", (step_id,))
        db.execute("select journal.complete_step(%s)", (step_id,))


def test_a_step_of_another_transaction_cannot_be_completed(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    (step_id,) = column(db, "select step_id from journal.begin_step(%s, 'note')", agent.id)
    for unknown in (step_id, UUID(int=7)):
        with pytest.raises(psycopg.DatabaseError) as caught, db.transaction():
            db.execute("select journal.complete_step(%s)", (unknown,))
        assert isinstance(journal.from_database(caught.value), journal.ConnectionUseError)


def test_psql_can_run_a_step(db: psycopg.Connection) -> None:
    with db.transaction():
        session_id = one(db, "select journal.open_session('psql')")
    for replayed in (False, True):
        with db.transaction():
            (begun,) = column(
                db, "select to_jsonb(b) from journal.begin_step(%s, 'note', 'k', '{\"a\": 1}') b", session_id
            )
            assert begun["replayed"] is replayed
            if not replayed:
                note(db)
            receipt_id = one(db, "select journal.complete_step(%s, '{\"n\": 1}')", begun["step_id"])
            assert begun["receipt_id"] in {None, str(receipt_id)}
            assert begun["result"] == ({"n": 1} if replayed else None)
            note(db, "after the step")
    assert one(db, "select changes from journal.receipts") == {"public.notes": {"insert": 1}}
    assert column(db, "select session_id from journal.statements order by statement_id") == [session_id, None, None]
