"""Cases 15 to 20 and 30: others have been here. S is the session that is rolled back, T is anyone else."""

from __future__ import annotations

import pytest

from tests.journal.rollback.history import PRODUCTS, History, report


def test_case_15_other_columns_are_theirs(history: History) -> None:
    """S sets price; T later sets note on the same row → RESTORE price, KEEP note."""
    history.given(*PRODUCTS)
    history.agent("update products set price = price * 10")
    history.others("update products set note = 'theirs' where id = 1")
    assert history.roll_back().rows == {"restore": 2}
    assert history.rows("table products") == {(1, 10, "theirs"), (2, 10, "b")}


def test_case_15_in_the_middle_of_the_session(history: History) -> None:
    """The same, T between two transactions of S."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20 where id = 1")
    history.others("update products set note = 'theirs' where id = 1")
    history.agent("update products set price = 30 where id = 1")
    done = history.roll_back()
    assert (done.rows, done.changes) == ({"restore": 1}, {"restore": 2})
    assert history.rows("table products") == {(1, 10, "theirs"), (2, 10, "b")}


def test_case_15_many_rows_of_others_are_judged_in_one_pass(history: History) -> None:
    """Each row that others wrote since is looked up once: comparing each with each took ten minutes for 200,000 rows."""
    history.given(PRODUCTS[0], "insert into products select i, 10, 'a' from generate_series(1, 4000) i")
    session_id = history.agent("update products set price = 20")
    history.others("update products set note = 'theirs'")
    history.operator.execute("set statement_timeout = '5s'")
    assert report(history.operator, "plan", [session_id]).rows == {"restore": 4000}


def test_case_16_same_column(history: History) -> None:
    """S sets price 10→20; T 20→25 → CONFLICT with base 10, ours 20, theirs 25."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20")
    history.others("update products set price = 25 where id = 1")
    refused = history.roll_back()
    assert (refused.outcome, refused.rows) == ("refused", {"restore": 1, "conflict": 1})
    done = history.roll_back("skip")
    assert (done.outcome, done.exit_code, done.rows) == ("partly", 5, {"restore": 1, "conflict": 1})
    conflict = done.conflict
    assert (conflict["base"], conflict["ours"], conflict["theirs"]) == ("10", "20", "25")
    assert (conflict["table"], conflict["key"], conflict["column"]) == ("public.products", {"id": "1"}, "price")
    assert conflict["reason"] == "changed_since"
    assert conflict["their"]["application_name"] == "shop-web"
    assert conflict["their"]["db_user"] == history.one("select session_user")
    assert history.rows("table products") == {(1, 25, "a"), (2, 10, "b")}


def test_case_16_in_the_middle_of_the_session(history: History) -> None:
    """S 10→20, T 20→25, S 25→30: taking S away would need T's value, or lose it → CONFLICT."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20 where id = 1")
    history.others("update products set price = 25 where id = 1")
    history.agent("update products set price = 30 where id = 1")
    done = history.roll_back("skip")
    assert (done.rows, done.changes) == ({"conflict": 1}, {"conflict": 2})
    assert done.reasons == {"changed_since"}
    assert history.rows("table products") == {(1, 30, "a"), (2, 10, "b")}


def test_case_16_another_session_is_named(history: History) -> None:
    """A conflict with another agent names its session and agent."""
    history.given(*PRODUCTS)
    session = history.agent("update products set price = 20 where id = 1")
    other = history.open("rival-bot")
    history.agent("update products set price = 25 where id = 1")
    done = history.roll_back("refuse", session)
    assert done.conflict["their"]["session_id"] == str(other)
    assert done.conflict["their"]["agent"] == "rival-bot"


def test_case_16_every_column_in_conflict_is_listed(history: History) -> None:
    """Both wrote two columns: the report names both, and what force loses of each."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20, note = 'ours'")
    history.others("update products set price = 25, note = 'theirs' where id = 1")
    history.others("update products set price = 25, note = 'theirs' where id = 2")
    history.others("update products set price = 20, note = 'ours' where id = 2")
    one, two = sorted(history.report("plan").conflicts, key=lambda c: str(c["key"]))
    assert (one["column"], one["theirs"]) == ("price", "25")
    assert one["also"] == [{"column": "note", "base": "a", "ours": "ours", "theirs": "theirs"}]
    assert (two["reason"], [c["column"] for c in two["also"]]) == ("changed_and_back", ["note"])
    assert [c["theirs"] for c in history.roll_back("force").conflict_of("1")["also"]] == ["theirs"]


def test_case_17_changed_and_back(history: History) -> None:
    """S 10→20; T 20→30; T 30→20 (ABA) → CONFLICT by dependency, though the value matches."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20")
    history.others("update products set price = 30 where id = 1", "update products set price = 20 where id = 1")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 1}
    assert (done.conflict["reason"], done.conflict["key"]) == ("changed_and_back", {"id": "1"})
    assert done.conflict["their"]["application_name"] == "shop-web"


def test_case_17_changed_and_back_forced(history: History) -> None:
    """`force` documents what it does: the old value is back, and the report names the value and the writer that it overruled."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20")
    history.others("update products set price = 30 where id = 1", "update products set price = 20 where id = 1")
    done = history.roll_back("force")
    assert done.rows == {"restore": 1, "force": 1}
    lost = done.conflict
    assert (lost["key"], lost["reason"], lost["forced"]) == ({"id": "1"}, "changed_and_back", True)
    assert (lost["base"], lost["theirs"], lost["their"]["application_name"]) == ("10", "20", "shop-web")
    assert history.one("select forced from journal.rollbacks") == 1
    history.expect_start()


def test_case_17_forced_back_to_a_row_that_others_deleted(history: History) -> None:
    """What cannot be forced refuses the rollback: it was counted as forced, and left as it was."""
    history.given(
        "create table parent (id int primary key)",
        "create table child (id int primary key, p int references parent on delete set null)",
        "insert into parent values (1), (2)",
        "insert into child values (1, 1)",
    )
    history.agent("update child set p = 2")
    history.others("delete from parent")
    done = history.roll_back("force")
    assert (done.outcome, done.rows, done.conflict["reason"]) == ("refused", {"conflict": 1}, "deleted_since")


def test_case_17_changed_and_back_unseen(history: History) -> None:
    """[45] The same where T is not journaled (`agents_only`): the row's xmin tells, and who it was is not known."""
    history.given(*PRODUCTS, products={"writers": "agents"})
    history.agent("update products set price = 20")
    history.others("update products set price = 30 where id = 1", "update products set price = 20 where id = 1")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 1}
    assert (done.conflict["reason"], done.conflict["their"]) == ("unjournaled_writer", None)


def test_case_17_deleted_and_inserted_again(history: History) -> None:
    """T deletes the row and inserts one that looks the same: it is not the session's row any more."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20 where id = 1")
    history.others("delete from products where id = 1", "insert into products values (1, 20, 'a')")
    done = history.roll_back("skip")
    assert done.rows == {"conflict": 1}
    assert done.reasons == {"key_reused"}


def test_case_19_insert_and_edit(history: History) -> None:
    """S inserts a row; T edits it → CONFLICT. Also in a column that S left null."""
    history.given(*PRODUCTS)
    history.agent("insert into products values (3, 30, null), (4, 40, null)")
    history.others("update products set note = 'theirs' where id = 3")
    done = history.roll_back("skip")
    assert done.rows == {"remove": 1, "conflict": 1}
    assert (done.conflict["reason"], done.conflict["key"]) == ("changed_since", {"id": "3"})
    assert done.conflict["their"]["application_name"] == "shop-web"


def test_case_19_insert_and_delete(history: History) -> None:
    """S inserts; T deletes → NOOP."""
    history.given(*PRODUCTS)
    history.agent("insert into products values (3, 30, null)")
    history.others("delete from products where id = 3")
    assert history.roll_back().rows == {"noop": 1}
    history.expect_start()


def test_case_19_update_and_delete(history: History) -> None:
    """S updates; T deletes → CONFLICT, never resurrect."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20")
    history.others("delete from products where id = 1")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 1}
    assert (done.conflict["reason"], done.conflict["key"], done.conflict["theirs"]) == (
        "deleted_since",
        {"id": "1"},
        None,
    )
    assert done.conflict["their"]["application_name"] == "shop-web"
    assert history.rows("table products") == {(2, 10, "b")}


@pytest.mark.parametrize(
    ("kind", "base", "ours", "theirs"),
    [
        ("jsonb", '{"a": 0}', '{"a": 1}', '{"a": 1, "b": 2}'),
        ("jsonb", "[1]", "[1, 2]", "[1, 2, 3]"),
        ("json", '{"a":1}', '{"a":2}', '{"a": 2}'),
        ("int[]", "{1}", "{1,2}", "{1,2,3}"),
        ("int[]", "{1}", "{1,2}", "[0:1]={1,2}"),
        ("numeric", "1", "1.5", "1.50"),
        ("float8", "1", "0", "-0"),
        ("text", "a", "b", "b "),
        ("char(3)", "a", "b", "c"),
    ],
)
def test_case_20_equality_not_containment(history: History, kind: str, base: str, ours: str, theirs: str) -> None:
    """S sets jsonb `{"a":1}`; T sets `{"a":1,"b":2}` → CONFLICT (equality, not containment); same for arrays, and for other
    values that merely compare as equal."""
    history.given(f"create table t (id int primary key, v {kind})", f"insert into t values (1, '{base}')")
    history.agent(f"update t set v = '{ours}'")
    history.others(f"update t set v = '{theirs}'")
    done = history.roll_back("skip")
    assert done.rows == {"conflict": 1}
    assert (done.conflict["theirs"] or "").rstrip() == theirs.rstrip()


def test_case_30_written_outside_the_journal(history: History) -> None:
    """The row's live value matches no journaled after-image → CONFLICT "written outside the journal"."""
    history.given(*PRODUCTS, products={"writers": "agents"})
    history.agent("update products set price = 20")
    history.others("update products set price = 44 where id = 1")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 1}
    conflict = done.conflict
    assert (conflict["reason"], conflict["theirs"], conflict["their"]) == ("unjournaled_writer", "44", None)


def test_case_30_other_column_written_outside_the_journal(history: History) -> None:
    """Where others are not journaled, a row that one of them wrote cannot be told from an ABA → CONFLICT, and said so."""
    history.given(*PRODUCTS, products={"writers": "agents"})
    history.agent("update products set price = 20")
    history.others("update products set note = 'theirs' where id = 1")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 1}
    assert done.reasons == {"unjournaled_writer"}


def test_a_failure_of_the_database_is_a_conflict_like_any_other(history: History) -> None:
    """What no row can be blamed for has the same keys in the report (`check_counts`)."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20")
    history.others(
        "create function frozen() returns trigger language plpgsql as $$begin raise exception 'prices are frozen'; end$$",
        "create trigger frozen before update of price on products for each row when (new.price < 20) execute function frozen()",
    )
    refused = history.roll_back(predicted=False)
    assert (refused.outcome, refused.conflict["theirs"], refused.conflict["forced"]) == (
        "refused",
        "prices are frozen",
        False,
    )


def test_case_15_a_row_that_others_gave_another_key_and_the_session_wrote_there_again(history: History) -> None:
    """Written by nobody else in the end; it was taken for a write that no record explains."""
    history.given("create table t (id int primary key, v int, w int)", "insert into t values (1, 1, 1)")
    history.agent("update t set v = 2")
    history.others("update t set id = 5")
    history.agent("update t set w = w")
    assert history.roll_back().rows == {"restore": 1, "noop": 1}
    assert history.rows("table t") == {(5, 1, 1)}


def test_case_15_a_row_that_the_session_changed_before_and_after_others_gave_it_another_key(history: History) -> None:
    """Taken for two rows, of which one was restored and the other reported: it is left whole."""
    history.given("create table t (id int primary key, v int, w int)", "insert into t values (1, 1, 1)")
    history.agent("update t set v = 2")
    history.others("update t set id = 5")
    history.agent("update t set w = 2")
    done = history.roll_back("skip")
    assert (done.rows, done.reasons, history.rows("table t")) == ({"conflict": 2}, {"changed_since"}, {(5, 2, 2)})
