"""`journal.cover` and `journal.uncover` from Python."""

# ruff: noqa: PT012  what is tested is the rest of a transaction

from __future__ import annotations

import psycopg
import pytest

import journal
from tests.journal.steps.support import column, note, one

STATUS = "select status from journal.coverage where relation = %s::regclass"


def test_covering_is_idempotent_and_ends(db: psycopg.Connection) -> None:
    for _ in range(2):
        journal.cover(db, "public.notes")
    assert one(db, STATUS, "notes") == "covered"
    journal.uncover(db, "public.notes")
    assert one(db, STATUS, "notes") == "uncovered"
    note(db)
    db.commit()
    assert column(db, "select 1 from journal.statements") == []
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_a_table_is_named_as_on_the_callers_search_path(db: psycopg.Connection) -> None:
    with db.transaction():
        db.execute('create schema "Odd Schema"')
        db.execute('create table "Odd Schema"."Odd "" Table" (id int primary key)')
    db.execute('set search_path = "Odd Schema"')
    db.commit()
    journal.cover(db, '"Odd "" Table"')
    journal.cover(db, '"Odd Schema"."Odd "" Table"')
    assert one(db, STATUS, '"Odd "" Table"') == "covered"


@pytest.mark.parametrize(
    "table", ["nowhere", "nowhere.notes", "public.", "", "a.b.c.d", "notes; drop table notes", '"']
)
def test_what_is_no_table(db: psycopg.Connection, table: str) -> None:
    for act in (journal.cover, journal.uncover):
        with pytest.raises(journal.NotCoverable) as caught:
            act(db, table)
        assert caught.value.reason == "there is no such table"
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_what_cannot_be_covered_says_why(db: psycopg.Connection) -> None:
    with db.transaction():
        db.execute("create view everything as select * from notes")
    with pytest.raises(journal.NotCoverable) as caught:
        journal.cover(db, "everything")
    assert caught.value.reason
    assert caught.value.exit_code == 3


def test_options_arrive(db: psycopg.Connection) -> None:
    with db.transaction():
        db.execute('create table wide (id int primary key, "Odd, ""Name""" text, n int, at timestamptz, blob bytea)')
    journal.cover(db, "wide", agents_only=True, audit_only=True, exclude=["blob"], maintained=["at"], truncate="refuse")
    query = "select to_jsonb(c) from journal.coverage c where relation = 'wide'::regclass"
    row = one(db, query)
    assert (row["writers"], row["undo"], row["truncate"]) == ("agents", False, "refuse")
    assert (row["excluded_columns"], row["maintained_columns"]) == (["blob"], ["at"])
    journal.cover(db, "wide", exclude=['Odd, "Name"'])
    assert one(db, query)["excluded_columns"] == ['Odd, "Name"']
    with pytest.raises(TypeError):
        journal.cover(db, "wide", exclude="blob")


def test_in_the_callers_transaction(db: psycopg.Connection) -> None:
    journal.uncover(db, "notes")
    with pytest.raises(ZeroDivisionError), db.transaction():
        journal.cover(db, "notes")
        raise ZeroDivisionError
    assert one(db, STATUS, "notes") == "uncovered"
