"""The views are the contract: their columns, their comments, their closed lists of statuses."""

from __future__ import annotations

import psycopg
import pytest

import journal
from tests.journal.steps.support import column, note, one

COLUMNS = {
    "sessions": "session_id parent_session_id kind agent task tenant run_id status status_reason reversed opened_at last_bound_at "
    "closed_at undoable_until db_user db_role application_name hold details",
    "steps": "step_id session_id ordinal tool kind tenant key attempt status replay_of arguments result error transaction_id "
    "started_at ended_at key_expires_at db_user db_role receipt_id",
    "receipts": "receipt_id session_id step_id tool tenant key attempt status committed_at delivered_at confirmed_at "
    "reversed_at reversed_by changes message_ids result digest document",
    "claims": "claim_id session_id receipt_id claim verdict claimed_at",
    "externals": "step_id session_id tool kind tenant key attempt status provider_key intended_at settled_at settled_by error note",
}


@pytest.mark.parametrize("view", COLUMNS)
def test_a_view_has_the_columns_of_the_contract_in_order(db: psycopg.Connection, view: str) -> None:
    query = "select attname::text from pg_attribute where attrelid = %s::regclass and attnum > 0 order by attnum"
    assert column(db, query, f"journal.{view}") == COLUMNS[view].split()


@pytest.mark.parametrize("view", COLUMNS)
def test_every_column_has_a_comment(db: psycopg.Connection, view: str) -> None:
    query = """select attname::text from pg_attribute
                where attrelid = %s::regclass and attnum > 0 and col_description(attrelid, attnum) is null"""
    assert column(db, query, f"journal.{view}") == []
    assert one(db, "select obj_description(%s::regclass) is not null", f"journal.{view}")


def test_every_function_has_a_comment(db: psycopg.Connection) -> None:
    query = """select p.oid::regprocedure::text from pg_proc p
                where p.pronamespace = 'journal'::regnamespace and obj_description(p.oid, 'pg_proc') is null"""
    assert column(db, query) == []


def test_every_definer_function_pins_its_search_path(db: psycopg.Connection) -> None:
    query = """select p.oid::regprocedure::text from pg_proc p
                where p.pronamespace = 'journal'::regnamespace and p.prosecdef
                  and not coalesce(p.proconfig, '{}') @> array['search_path=pg_catalog, pg_temp']"""
    assert column(db, query) == []


def test_last_bound_at(db: psycopg.Connection, agent: journal.AgentSession) -> None:
    seen = [one(db, "select last_bound_at from journal.sessions")]
    for _ in range(2):
        with agent.step("note"):
            pass
        seen.append(one(db, "select last_bound_at from journal.sessions"))
    assert seen[0] is None
    assert seen[1] < seen[2]


def test_a_partly_rolled_back_session_is_reversed_in_part(db: psycopg.Connection, watch: psycopg.Connection) -> None:
    agent = journal.open_session(db, agent="bot")
    with agent.step("change"):
        db.execute("update orders set status = 'theirs'")
    watch.execute("update orders set status = 'someone else''s' where id = 42")
    with pytest.raises(journal.RollbackConflict) as caught:
        journal.rollback(db, agent)
    assert [conflict["key"] for conflict in caught.value.conflicts] == [{"id": "42"}]
    assert caught.value.plan.outcome == "refused"
    assert one(db, "select reversed from journal.sessions where kind = 'agent'") == "no"
    assert one(db, "select status from journal.sessions where kind = 'agent'") == "stopped"
    report = journal.rollback(db, agent, on_conflict="skip")
    assert report.outcome == "partly"
    assert one(db, "select reversed from journal.sessions where kind = 'agent'") == "partly"
    note(db)


def test_sessions_and_steps_of_a_session_are_found_by_index(
    db: psycopg.Connection, agent: journal.AgentSession
) -> None:
    """With many others around, a filter reads what it needs."""
    db.execute("set enable_seqscan = off")
    for query in (
        "select * from journal.sessions where session_id = %s",
        "select * from journal.steps where session_id = %s",
        "select * from journal.receipts where session_id = %s",
    ):
        plan = "\n".join(column(db, f"explain {query}", agent.id))
        assert "Seq Scan on session" not in plan
        assert "Seq Scan on step" not in plan
        assert "Seq Scan on receipt" not in plan
        assert "Seq Scan on binding" not in plan
