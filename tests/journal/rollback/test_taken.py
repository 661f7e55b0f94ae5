"""Cases 5 and 13: a place in a unique constraint, an index or an exclusion that somebody else has taken, or that is free."""

from __future__ import annotations

import psycopg
import pytest

from tests.journal.rollback.history import History


def test_case_05_unique_value_taken(history: History) -> None:
    """S deletes user a@x; T registers a@x under another id → CONFLICT naming the unique index and T's row."""
    history.given(
        "create table users (id int primary key, email text unique)", "insert into users values (1, 'a@x'), (2, 'b@x')"
    )
    history.agent("delete from users where id = 1")
    history.others("insert into users values (9, 'a@x')")
    done = history.roll_back("skip")
    assert done.rows == {"conflict": 1}
    conflict = done.conflict
    assert (conflict["reason"], conflict["constraint"], conflict["key"]) == (
        "unique_taken",
        "users_email_key",
        {"id": "1"},
    )
    assert "id=9" in conflict["theirs"]


def test_case_13_slot_taken(history: History) -> None:
    """`exclude using gist`: S moves a booking, T takes the slot → CONFLICT with T's row."""
    history.given(
        "create table booking (id int primary key, during int4range, exclude using gist (during with &&))",
        "insert into booking values (1, '[1,5)'), (2, '[5,9)')",
    )
    history.agent(
        "update booking set during = '[20,25)' where id = 1", "update booking set during = '[30,35)' where id = 2"
    )
    history.others("insert into booking values (3, '[2,3)')")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 1}
    assert (done.conflict["reason"], done.conflict["constraint"]) == ("exclusion_taken", "booking_during_excl")
    assert "id=3" in done.conflict["theirs"]


@pytest.mark.parametrize(
    "on", ["(code) where note is null", "(lower(code))", "(lower(code), (id is null)) where note is distinct from 'no'"]
)
def test_case_14_partial_and_expression_indexes(history: History, on: str) -> None:
    """A partial or expression index that the old image violates: the row is a conflict with the row that has its place."""
    history.given(
        "create table t (id int primary key, code text, note text)",
        "insert into t values (1, 'a', null), (2, 'b', null), (3, 'c', null)",
    )
    history.agent("update t set code = code || 'z' where id < 3", "delete from t where id = 3")
    history.others(f"create unique index one_code on t {on}", "insert into t values (4, 'a', null), (5, 'c', null)")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 2}
    assert {(c["reason"], c["constraint"], c["table"]) for c in done.conflicts} == {
        ("unique_taken", "one_code", "public.t")
    }
    assert history.rows("table t") == {(1, "az", None), (2, "b", None), (4, "a", None), (5, "c", None)}


def test_case_14_a_place_that_the_rollback_frees_is_not_taken(history: History) -> None:
    """What the same rollback takes away, and what the predicate leaves out, is in nobody's way."""
    history.given(
        "create table t (id int primary key, code text, gone bool not null default false)",
        "create unique index one_code on t (lower(code)) where not gone",
        "insert into t values (1, 'a'), (2, 'b')",
    )
    history.agent("update t set gone = true where id = 1", "insert into t values (3, 'A')")
    history.others("insert into t values (4, 'B', true)")
    assert history.roll_back().rows == {"restore": 1, "remove": 1}


def test_case_13_exclusion_with_a_predicate(history: History) -> None:
    """The same for an exclusion constraint with a predicate."""
    history.given(
        "create table t (id int primary key, during int4range, cancelled bool default false,"
        " constraint one exclude using gist (during with &&) where (not cancelled))",
        "insert into t values (1, '[1,5)'), (2, '[5,9)')",
    )
    history.agent("update t set cancelled = true")
    history.others("insert into t values (3, '[2,4)')")
    done = history.roll_back("skip")
    assert (done.rows, done.reasons, done.keys) == ({"restore": 1, "conflict": 1}, {"exclusion_taken"}, {"id=1"})


def test_case_14_errors_of_the_call_that_raises(history: History) -> None:
    """`journal.rollback` raises what `rollback_report` reports, and the error holds no row value."""
    history.given(
        "create table users (id int primary key, email text unique)", "insert into users values (1, 'secret@x')"
    )
    history.agent("delete from users")
    history.others("insert into users values (9, 'secret@x')")
    history.stop()
    with pytest.raises(psycopg.DatabaseError) as caught:
        history.one("select journal.rollback(%s)", history.session)
    assert caught.value.sqlstate == "JR034"
    assert "secret" not in (caught.value.diag.message_primary or "")
    assert history.rows("select id from users") == {(9,)}


def test_case_05_null_that_is_no_other_null(history: History) -> None:
    """NULLS NOT DISTINCT: a place that somebody else has taken, and the plan knows."""
    history.given(
        "create table t (id int primary key, code text, unique nulls not distinct (code))",
        "insert into t values (1, null), (2, 'b')",
    )
    history.agent("update t set code = 'x' where id = 1")
    history.others("update t set code = null where id = 2")
    assert history.roll_back().reasons == {"unique_taken"}


def test_case_13_period_taken(history: History) -> None:
    """A key without overlaps is an exclusion: rows go back in place, and not over a period that T has taken."""
    if history.operator.info.server_version < 180000:
        pytest.skip("keys without overlaps are new in PostgreSQL 18")
    history.given(
        "create table t (id int4range, valid daterange, v int, primary key (id, valid without overlaps))",
        "insert into t values ('[1,2)', '[2020-01-01,2021-01-01)', 1), ('[1,2)', '[2021-01-01,2022-01-01)', 2)",
    )
    history.agent(
        "update t set v = 9, valid = '[2020-01-01,2020-06-01)' where v = 1",
        "delete from t where valid @> date '2021-05-05'",
    )
    history.others("insert into t values ('[1,2)', '[2021-07-01,2023-01-01)', 3)")
    done = history.roll_back("skip")
    assert (done.rows, done.reasons) == ({"restore": 1, "conflict": 1}, {"exclusion_taken"})


@pytest.mark.parametrize("unique", ["unique (low)", "unique (low) deferrable", "exclude (low with =) where (id <> 9)"])
def test_case_05_a_place_by_a_generated_column(history: History, unique: str) -> None:
    """What it would be is worked out from the columns as they would be: taken, it is T's; left in the same rollback, it is free."""
    history.given(
        f"create table t (id int primary key, mail text, low text generated always as (lower(mail)) stored, {unique})",
        "insert into t values (1, 'A'), (2, 'B'), (3, 'C'), (4, 'D')",
    )
    history.agent(
        "update t set mail = 'x' where id = 1",
        "update t set mail = 'a' where id = 2",
        "update t set mail = 'b' where id = 3",
    )
    history.agent("update t set mail = 'y' where id = 4")
    history.others("insert into t values (5, 'd')")
    done = history.roll_back("skip")
    assert (done.rows, done.reasons <= {"unique_taken", "exclusion_taken"}) == ({"restore": 3, "conflict": 1}, True)
    history.others("delete from t where id = 5", "update t set mail = 'D' where id = 4")
    history.expect_start()


def test_who_has_the_value_now_is_not_the_rollback_that_wrote_that_row_too(history: History) -> None:
    """S changed both rows, so the rollback writes the one in the way: it was named as the one who had taken the value."""
    history.given(
        "create table t (id int primary key, email text unique, v int)", "insert into t values (1, 'e', 1), (2, 'b', 2)"
    )
    history.agent("update t set email = 'f' where id = 1", "update t set v = 20 where id = 2")
    history.others("update t set email = 'e' where id = 2")
    done = history.roll_back("skip")
    assert (done.rows, done.conflict["reason"]) == ({"restore": 1, "conflict": 1}, "unique_taken")
    assert (done.conflict["theirs"], done.conflict["their"]["application_name"]) == ("(id=2)", "shop-web")


def test_a_row_that_others_deleted_is_gone_also_where_the_session_has_put_another(history: History) -> None:
    """S changes it, T deletes it, S inserts one under its key → CONFLICT deleted_since, and S's row is removed."""
    history.given("create table t (id int primary key, v int)", "insert into t values (1, 1)")
    history.agent("update t set v = 2")
    history.others("delete from t")
    history.agent("insert into t values (1, 3)")
    done = history.roll_back("skip", followers=["t"])
    assert (done.rows, done.reasons) == ({"conflict": 1, "remove": 1}, {"deleted_since"})
    assert done.conflict["theirs"] is None
    assert history.rows("table t") == set()


def test_rows_that_were_deleted_one_after_another_under_one_key(history: History) -> None:
    """S deletes a row, T inserts one under its key, S deletes that too → T's row is back, S's first a conflict."""
    history.given("create table t (id int primary key, v int)", "insert into t values (1, 1)")
    history.agent("delete from t")
    history.others("insert into t values (1, 2)")
    history.agent("delete from t")
    done = history.roll_back("skip", followers=["t"])
    assert (done.rows, done.reasons) == ({"reinsert": 1, "conflict": 1}, {"key_reused"})
    assert history.rows("table t") == {(1, 2)}
