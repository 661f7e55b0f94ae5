"""Case 18: amounts, and columns that are declared as counters."""

from __future__ import annotations

from tests.journal.rollback.history import History

ACCOUNT = ("create table account (id int primary key, bal bigint)", "insert into account values (1, 1000)")
COUNTED = {"counters": ["bal"]}


def test_case_18_balance_is_a_conflict(history: History) -> None:
    """S `bal = bal - 100`; T `bal = bal + 50` → CONFLICT."""
    history.given(
        "create table account (id int primary key, bal numeric)", "insert into account values (1, 1000), (2, 1000)"
    )
    history.agent("update account set bal = bal - 100")
    history.others("update account set bal = bal + 50 where id = 1")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 1}
    assert history.rows("table account") == {(1, 950), (2, 1000)}


def test_case_18_declared_counter(history: History) -> None:
    """S `bal = bal - 100`; T `bal = bal + 50`; a column declared as a counter → +100 and KEEP T's 50."""
    history.given(
        "create table account (id int primary key, bal numeric, note text)",
        "insert into account values (1, 1000, 'a'), (2, 1000, 'b'), (3, 1000, 'c')",
        account=COUNTED,
    )
    history.agent("update account set bal = bal - 100", "update account set note = 'agent' where id = 3")
    history.others("update account set bal = bal + 50 where id in (1, 3)")
    done = history.roll_back()
    assert done.rows == {"adjust": 3}
    assert history.rows("table account") == {(1, 1050, "a"), (2, 1000, "b"), (3, 1050, "c")}


def test_case_18_counter_in_the_middle_of_the_session(history: History) -> None:
    """T between two of S's changes to a counter: S's differences are summed, T's stays."""
    history.given(*ACCOUNT, account=COUNTED)
    history.agent("update account set bal = bal - 100")
    history.others("update account set bal = bal + 50")
    history.agent("update account set bal = bal - 10")
    done = history.roll_back()
    assert (done.rows, done.changes) == ({"adjust": 1}, {"adjust": 2})
    assert history.rows("table account") == {(1, 1050)}


def test_case_18_counter_that_became_null(history: History) -> None:
    """A counter without a value has no difference → CONFLICT."""
    history.given(*ACCOUNT, account=COUNTED)
    history.agent("update account set bal = bal - 100")
    history.others("update account set bal = null")
    assert history.roll_back("skip").reasons == {"changed_since"}


def test_case_18_redo_of_a_counter(history: History) -> None:
    """The rollback of a counter is undone by its difference as well."""
    history.given(*ACCOUNT, account=COUNTED)
    history.agent("update account set bal = bal - 100")
    history.others("update account set bal = bal + 50")
    done = history.roll_back()
    history.others("update account set bal = bal + 7")
    assert history.redo(done).rows == {"adjust": 1}
    assert history.rows("table account") == {(1, 957)}


def test_case_18_counter_in_a_row_that_others_gave_another_key(history: History) -> None:
    """T adds to the counter and gives the row another key: the difference is undone there."""
    history.given(
        "create table acc (id int primary key, bal int, note text)",
        "insert into acc values (1, 100, 'a'), (2, 100, 'a')",
        acc={"counters": ["bal"]},
    )
    history.agent("update acc set bal = bal - 30, note = 'ours'")
    history.others(
        "update acc set bal = bal + 5", "update acc set id = id + 10", "update acc set note = 'b' where id = 12"
    )
    assert history.roll_back("skip", followers=["acc"]).rows == {"adjust": 1, "conflict": 1}
    assert history.rows("table acc") == {(11, 105, "a"), (12, 75, "b")}


def test_case_18_counter_back_at_its_value(history: History) -> None:
    """T brought the counter back to where S had found it: S's difference is still undone."""
    history.given(*ACCOUNT, account=COUNTED)
    history.agent("update account set bal = bal - 100")
    history.others("update account set bal = bal - 100")
    history.agent("update account set bal = bal + 200")
    assert history.roll_back().rows == {"adjust": 1}
    assert history.rows("table account") == {(1, 900)}


def test_case_18_counter_and_another_column(history: History) -> None:
    """A row is restored whole or left whole: a conflict in another column leaves the counter too."""
    history.given(
        "create table account (id int primary key, bal bigint, note text)",
        "insert into account values (1, 1000, 'a'), (2, 1000, 'b')",
        account=COUNTED,
    )
    history.agent("update account set bal = bal - 100, note = 'agent'")
    history.others("update account set bal = bal + 5", "update account set note = 'theirs' where id = 1")
    done = history.roll_back("skip")
    assert done.rows == {"adjust": 1, "conflict": 1}
    assert history.rows("table account") == {(1, 905, "theirs"), (2, 1005, "b")}


def test_case_18_counter_that_a_constraint_holds(history: History) -> None:
    """What would be left breaks a CHECK → CONFLICT naming it."""
    history.given(
        "create table stock (id int primary key, n int check (n >= 0))",
        "insert into stock values (1, 0), (2, 0)",
        stock={"counters": ["n"]},
    )
    history.agent("update stock set n = n + 10")
    history.others("update stock set n = n - 5 where id = 1")
    done = history.roll_back("skip")
    assert done.rows == {"adjust": 1, "conflict": 1}
    assert (done.conflict["reason"], done.conflict["constraint"]) == ("constraint_added", "stock_n_check")


def test_case_18_counter_where_others_are_not_journaled(history: History) -> None:
    """A difference can be taken back whoever wrote since."""
    history.given(
        *ACCOUNT,
        account={"counters": ["bal"], "writers": "agents"},
    )
    history.agent("update account set bal = bal - 100")
    history.others("update account set bal = bal + 50")
    assert history.roll_back().rows == {"adjust": 1}
    assert history.rows("table account") == {(1, 1050)}


def test_case_18_counter_of_a_row_that_the_session_deleted_in_the_end(history: History) -> None:
    """T between S's change and S's delete: the row is back with what T added."""
    history.given(*ACCOUNT, account=COUNTED)
    history.agent("update account set bal = bal - 100")
    history.others("update account set bal = bal + 50")
    history.agent("delete from account")
    assert history.roll_back().rows == {"reinsert": 1}
    assert history.rows("table account") == {(1, 1050)}


def test_case_18_counter_that_was_null_is_a_column_like_any_other(history: History) -> None:
    """Between S's changes, before S's delete, or changed and changed back: what T wrote is kept → CONFLICT."""
    history.given(
        "create table account (id int primary key, bal bigint)",
        "insert into account values (1, null), (2, 1000), (3, 1000)",
        account=COUNTED,
    )
    history.agent("update account set bal = 5 where id <= 2", "update account set bal = null where id = 3")
    history.others(
        "update account set bal = 7 where id = 1",
        "update account set bal = null where id = 2",
        "update account set bal = 9 where id = 3",
        "update account set bal = null where id = 3",
    )
    history.agent("update account set bal = 6 where id = 1", "delete from account where id = 2")
    done = history.roll_back("skip")
    assert (done.rows, done.reasons) == ({"conflict": 3}, {"changed_since", "changed_and_back"})


def test_case_18_counter_of_a_row_that_the_session_inserted(history: History) -> None:
    """T added to it before S came again: with the row T's addition would go → CONFLICT."""
    history.given("create table account (id int primary key, bal bigint)", account=COUNTED)
    history.agent("insert into account values (1, 1000)")
    history.others("update account set bal = bal + 50")
    history.agent("update account set bal = bal - 100")
    assert history.roll_back("skip").rows == {"conflict": 1}
