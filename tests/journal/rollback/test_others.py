"""Cases 15 to 30: others have been here. S is the session that is rolled back, T is anyone else."""

from __future__ import annotations

import psycopg
import pytest

from tests.journal.rollback.history import History, report

PRODUCTS = (
    "create table products (id int primary key, price int, note text)",
    "insert into products values (1, 10, 'a'), (2, 10, 'b')",
)


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


def test_case_17_totals_are_not_forced(history: History) -> None:
    """What others did is in a total that a trigger keeps: its value before the session is right for nobody."""
    history.given(
        "create table part (id int primary key, v int)",
        "create table total (id int primary key, v int)",
        "insert into part values (1, 5), (2, 5)",
        "insert into total values (1, 10)",
        """create function add_up() returns trigger language plpgsql as $$ begin
               update total set v = v + new.v - old.v; return null; end $$""",
        "create trigger add_up after update on part for each row execute function add_up()",
    )
    history.agent("update part set v = 6 where id = 1")
    history.others("update part set v = 8")
    done = history.roll_back("force")
    assert (done.outcome, done.rows) == ("refused", {"force": 1, "conflict": 1})
    assert {c["table"] for c in done.conflicts if not c["forced"]} == {"public.total"}


KEPT_TOTALS = (
    "create table part (id int primary key, owner int, v int)",
    "create table total (id int primary key, n int, v int)",
    "insert into total values (1, 0, 0), (2, 0, 0)",
    """create function add_up() returns trigger language plpgsql as $$ begin
           if tg_op <> 'INSERT' then update total set n = n - 1, v = v - old.v where id = old.owner; end if;
           if tg_op <> 'DELETE' then update total set n = n + 1, v = v + new.v where id = new.owner; end if; return null; end $$""",
    "create trigger add_up after insert or update or delete on part for each row execute function add_up()",
    "insert into part values (1, 1, 0)",
)


@pytest.mark.parametrize("mode", ["refuse", "skip"])
def test_a_total_counts_what_others_made_of_the_sessions_rows(history: History, mode: str) -> None:
    """S moves a part without an amount to another total, T gives it one, S adds a part there: what S met goes with the first."""
    history.given(*KEPT_TOTALS)
    history.agent("update part set owner = 2")
    history.others("update part set v = 1")
    history.agent("insert into part values (9, 2, 5)")
    done = history.roll_back(mode, followers=["total"])
    assert [(c["table"], c["key"], c["reason"]) for c in done.conflicts if c["key"] == {"id": "2"}] == [
        ("public.total", {"id": "2"}, "changed_since")
    ]
    assert done.outcome == ("refused" if mode == "refuse" else "partly")
    if mode == "skip":
        assert history.rows("table total") == {(1, 1, 1), (2, 0, 0)}


def test_a_total_of_rows_that_force_overrules_is_not_forced(history: History) -> None:
    """T gives an amount to the part that S added, S adds another: what T added to the total goes with the part, and was kept."""
    history.given(*KEPT_TOTALS)
    history.agent("insert into part values (8, 2, 0)")
    history.others("update part set v = 3 where id = 8")
    history.agent("insert into part values (9, 2, 5)")
    done = history.roll_back("force")
    assert (done.outcome, done.rows) == ("refused", {"remove": 1, "force": 1, "conflict": 1})


def test_a_total_that_others_write_without_changing_it_goes_back(history: History) -> None:
    """T edits another column of the session's part: the trigger takes the amount off and puts it on again."""
    history.given(*KEPT_TOTALS, "alter table part add note text")
    history.agent("update part set v = 4")
    history.others("update part set note = 'checked'")
    history.agent("insert into part values (9, 1, 5)")
    assert history.roll_back(followers=["total"]).outcome == "done"
    assert history.rows("table total") == {(1, 1, 0), (2, 0, 0)}
    assert history.rows("table part") == {(1, 1, 0, "checked")}


def test_a_total_that_others_share_goes_back(history: History) -> None:
    """T's own part in the same total, added before S came to it, is in what S met, and stays."""
    history.given(*KEPT_TOTALS)
    history.agent("update part set v = 2")
    history.others("insert into part values (5, 2, 4)")
    history.agent("insert into part values (9, 2, 5)")
    assert history.roll_back(followers=["total"]).outcome == "done"
    assert history.rows("table total") == {(1, 1, 0), (2, 1, 4)}


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


def test_case_17_own_changes_and_back_are_no_dependency(history: History) -> None:
    """What S itself changed and changed back is a NOOP."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20 where id = 1", "update products set price = 10 where id = 1")
    history.agent("update products set price = 30 where id = 2")
    history.agent("update products set price = 10 where id = 2")
    done = history.roll_back()
    assert (done.rows, done.changes) == ({"noop": 2}, {"noop": 4})
    assert (done.outcome, done.exit_code) == ("nothing", 4)
    history.expect_start()


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
        account={"counters": ["bal"]},
    )
    history.agent("update account set bal = bal - 100", "update account set note = 'agent' where id = 3")
    history.others("update account set bal = bal + 50 where id in (1, 3)")
    done = history.roll_back()
    assert done.rows == {"adjust": 3}
    assert history.rows("table account") == {(1, 1050, "a"), (2, 1000, "b"), (3, 1050, "c")}


def test_case_18_counter_in_the_middle_of_the_session(history: History) -> None:
    """T between two of S's changes to a counter: S's differences are summed, T's stays."""
    history.given(
        "create table account (id int primary key, bal bigint)",
        "insert into account values (1, 1000)",
        account={"counters": ["bal"]},
    )
    history.agent("update account set bal = bal - 100")
    history.others("update account set bal = bal + 50")
    history.agent("update account set bal = bal - 10")
    done = history.roll_back()
    assert (done.rows, done.changes) == ({"adjust": 1}, {"adjust": 2})
    assert history.rows("table account") == {(1, 1050)}


def test_case_18_counter_that_became_null(history: History) -> None:
    """A counter without a value has no difference → CONFLICT."""
    history.given(
        "create table account (id int primary key, bal bigint)",
        "insert into account values (1, 1000)",
        account={"counters": ["bal"]},
    )
    history.agent("update account set bal = bal - 100")
    history.others("update account set bal = null")
    assert history.roll_back("skip").reasons == {"changed_since"}


def test_case_18_redo_of_a_counter(history: History) -> None:
    """The rollback of a counter is undone by its difference as well."""
    history.given(
        "create table account (id int primary key, bal bigint)",
        "insert into account values (1, 1000)",
        account={"counters": ["bal"]},
    )
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
    history.given(
        "create table account (id int primary key, bal bigint)",
        "insert into account values (1, 1000)",
        account={"counters": ["bal"]},
    )
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
        account={"counters": ["bal"]},
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
        "create table account (id int primary key, bal bigint)",
        "insert into account values (1, 1000)",
        account={"counters": ["bal"], "writers": "agents"},
    )
    history.agent("update account set bal = bal - 100")
    history.others("update account set bal = bal + 50")
    assert history.roll_back().rows == {"adjust": 1}
    assert history.rows("table account") == {(1, 1050)}


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


def test_case_21_insert_update_delete(history: History) -> None:
    """S inserts, updates and deletes the same row → net NOOP, all three accounted; in one transaction, and in three."""
    history.given(*PRODUCTS)
    history.agent(
        "insert into products values (3, 3, '')",
        "update products set price = 4 where id = 3",
        "delete from products where id = 3",
    )
    history.agent("insert into products values (4, 3, '')")
    history.agent("update products set price = 4 where id = 4")
    history.agent("delete from products where id = 4")
    done = history.roll_back()
    assert (done.rows, done.changes) == ({"noop": 2}, {"noop": 6})
    history.expect_start()


def test_case_21_delete_and_insert_again(history: History) -> None:
    """S deletes a row and inserts it anew with other values: one row, restored in place."""
    history.given(*PRODUCTS)
    history.agent("delete from products where id = 1", "insert into products values (1, 99, null)")
    history.agent("delete from products where id = 2")
    history.agent("insert into products values (2, 98, null)")
    done = history.roll_back()
    assert (done.rows, done.changes) == ({"restore": 2}, {"restore": 4})
    history.expect_start()


def test_case_22_two_rollbacks_of_shared_rows(history: History) -> None:
    """Two rollbacks start together on shared rows → serialised, no deadlock, the second re-plans."""
    history.given(
        "create table t (id int primary key, a int, b int)",
        "insert into t select g, 0, 0 from generate_series(1, 50) g",
    )
    first = history.agent("update t set a = 1")
    second = history.open("other-bot")
    history.agent("update t set b = 1")
    history.stop(first, second)
    holder = history.connect()
    left, right = history.connect(), history.connect()
    with holder.transaction():
        holder.execute("select from t where id = 25 for update")
        one = history.meanwhile(lambda: report(left, "apply", [first], wait="20 s"))
        two = history.meanwhile(lambda: report(right, "apply", [second], wait="20 s"))
        history.until_waiting(left)
        history.until_waiting(right)
    assert {one.result().outcome, two.result().outcome} == {"done"}
    history.expect_start()


def test_case_22_two_rollbacks_of_one_session(history: History) -> None:
    """The same session, twice at once: one does it, the other finds nothing left to do."""
    history.given(*PRODUCTS)
    session = history.agent("update products set price = 20")
    history.stop()
    left, right = history.connect(), history.connect()
    holder = history.connect()
    with holder.transaction():
        holder.execute("select from products for update")
        one = history.meanwhile(lambda: report(left, "apply", [session], wait="20 s"))
        two = history.meanwhile(lambda: report(right, "apply", [session], wait="20 s"))
        history.until_waiting(left)
        history.until_waiting(right)
    assert {one.result().outcome, two.result().outcome} == {"done", "nothing"}
    history.expect_start()


def test_case_22_later_session_first_then_the_earlier(history: History) -> None:
    """Two sessions on one value: the later one is rolled back, then nobody stands in the way of the earlier one."""
    history.given(*PRODUCTS)
    first = history.agent("update products set price = 20")
    second = history.open("other-bot")
    history.agent("update products set price = 30")
    assert history.roll_back("refuse", first).outcome == "refused"
    assert history.roll_back("refuse", second).rows == {"restore": 2}
    assert history.roll_back("refuse", first).rows == {"restore": 2}
    history.expect_start()


def test_case_22_both_sessions_in_one_plan(history: History) -> None:
    """Both in one plan: one row each, both changes accounted."""
    history.given(*PRODUCTS)
    first = history.agent("update products set price = 20")
    second = history.open("other-bot")
    history.agent("update products set price = 30")
    done = history.roll_back("refuse", first, second)
    assert (done.rows, done.changes) == ({"restore": 2}, {"restore": 4})
    assert [s["why"] for s in done.raw["sessions"]] == ["named", "named"]
    history.expect_start()


def test_case_23_the_same_session_twice(history: History) -> None:
    """The same session rolled back twice → the second is a NOOP and says so."""
    history.given(*PRODUCTS)
    history.agent(
        "update products set price = 20", "delete from products where id = 2", "insert into products values (3, 3, '')"
    )
    assert history.roll_back().outcome == "done"
    again = history.roll_back()
    assert (again.outcome, again.exit_code, again.committed) == ("nothing", 4, False)
    assert set(again.rows) == {"noop"}
    assert history.one("select journal.rollback(%s)", history.session) is None
    history.expect_start()


def test_case_23_twice_after_others_went_on(history: History) -> None:
    """A second rollback takes nothing from those who went on after the first."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20")
    history.roll_back()
    history.others("update products set price = 33 where id = 1")
    assert history.roll_back("skip").outcome in {"nothing", "partly"}
    assert history.rows("table products") == {(1, 33, "a"), (2, 10, "b")}


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_case_24_uncommitted_update(history: History, ends: str) -> None:
    """T holds an uncommitted UPDATE on the row → waits, then re-checks; never a lost update."""
    history.given(*PRODUCTS)
    session = history.agent("update products set price = 20 where id = 1")
    history.stop()
    history.others_conn.execute("begin")
    history.others_conn.execute("update products set price = 25 where id = 1")
    rolling = history.meanwhile(lambda: report(history.operator, "apply", [session]))
    history.until_waiting(history.operator)
    history.others_conn.execute(ends.encode())
    done = rolling.result()
    if ends == "commit":
        assert (done.outcome, done.reasons) == ("refused", {"changed_since"})
        assert history.rows("table products") == {(1, 25, "a"), (2, 10, "b")}
    else:
        assert done.rows == {"restore": 1}
        history.expect_start()


def test_case_24_uncommitted_update_in_another_column(history: History) -> None:
    """T's uncommitted UPDATE is of another column → both."""
    history.given(*PRODUCTS)
    session = history.agent("update products set price = 20 where id = 1")
    history.stop()
    with history.others_conn.transaction():
        history.others_conn.execute("update products set note = 'theirs' where id = 1")
        rolling = history.meanwhile(lambda: report(history.operator, "apply", [session]))
        history.until_waiting(history.operator)
    assert rolling.result().rows == {"restore": 1}
    assert history.rows("table products") == {(1, 10, "theirs"), (2, 10, "b")}


def test_case_24_the_wait_is_bounded(history: History) -> None:
    """T does not end: RollbackBusy names who is in the way, nothing changed, the writer was not disturbed."""
    history.given(*PRODUCTS)
    session = history.agent("update products set price = 20 where id = 1")
    history.stop()
    with history.others_conn.transaction():
        history.others_conn.execute("update products set price = 25 where id = 1")
        with pytest.raises(psycopg.DatabaseError) as caught:
            report(history.operator, "apply", [session], wait="200 ms")
        assert caught.value.sqlstate == "JR037"
        assert str(history.others_conn.info.backend_pid) in (caught.value.diag.message_detail or "")
    assert history.rows("table products") == {(1, 25, "a"), (2, 10, "b")}


def test_case_24_live_writer_is_never_the_victim(history: History) -> None:
    """[46] A writer locks a row, then one that the rollback holds: the rollback yields, the writer finishes."""
    history.given(*PRODUCTS)
    session = history.agent("update products set price = 20")
    history.stop()
    with history.others_conn.transaction():
        history.others_conn.execute("update products set note = 'theirs' where id = 2")
        rolling = history.meanwhile(lambda: report(history.operator, "apply", [session], wait="20 s"))
        history.until_waiting(history.operator)
        history.others_conn.execute("update products set note = 'theirs' where id = 1")
    assert rolling.result().rows == {"restore": 2}
    assert history.rows("table products") == {(1, 10, "theirs"), (2, 10, "theirs")}


def test_case_24_a_writer_who_has_waited_long_is_not_the_victim_either(history: History) -> None:
    """[46] A writer has waited for the rollback most of deadlock_timeout when the rollback comes to a row that the writer holds."""
    history.given(
        "create table prices (id int primary key, price int)",
        "create table stock (id int primary key, left_over int)",
        "insert into prices values (1, 10)",
        "insert into stock values (1, 100)",
        "create function dawdle() returns trigger language plpgsql as 'begin perform pg_sleep(0.8); return new; end'",
        "create trigger dawdle before update on prices for each row when (new.price = 10) execute function dawdle()",
    )
    session = history.agent("update prices set price = 20", "update stock set left_over = 0")
    history.stop()
    with history.others_conn.transaction():
        history.others_conn.execute("insert into stock values (2, 7)")
        history.others_conn.execute("select from stock where id = 1 for update")
        rolling = history.meanwhile(lambda: report(history.operator, "apply", [session], wait="20 s"))
        history.others_conn.execute(_UNTIL_DAWDLING)
        history.others_conn.execute("select from prices for update")
    assert rolling.result().rows == {"restore": 2}
    assert history.rows("table stock") == {(1, 100), (2, 7)}


_UNTIL_DAWDLING = """
    do $$ begin
        while not exists (select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()) loop
            perform pg_stat_clear_snapshot();
        end loop;
    end $$"""


def test_case_25_session_that_is_still_writing(history: History) -> None:
    """Rollback while S is still writing → S is fenced first, then planned."""
    history.given(*PRODUCTS)
    with history.acting() as (agent, session):
        agent.execute("update products set price = 20 where id = 1")
        history.stop()
        rolling = history.meanwhile(lambda: report(history.operator, "apply", [session], wait="20 s"))
        history.until_waiting(history.operator)
        agent.execute("update products set price = 20 where id = 2")
    assert rolling.result().rows == {"restore": 2}
    history.expect_start()
    with pytest.raises(psycopg.DatabaseError) as caught:
        history.agent("update products set price = 99")
    assert caught.value.sqlstate == "JR011"
    history.expect_start()


def test_case_25_open_session_is_refused(history: History) -> None:
    """An open session could go on: it has to be stopped first; plan and dry run do not stop it."""
    history.given(*PRODUCTS)
    session = history.agent("update products set price = 20")
    for mode in ("plan", "dry_run"):
        assert history.report(mode).rows == {"restore": 2}
    with pytest.raises(psycopg.DatabaseError) as caught:
        history.report("apply")
    assert caught.value.sqlstate == "JR037"
    assert history.one("select status from journal.sessions where session_id = %s", session) == "open"
    history.agent("update products set price = 21")


@pytest.mark.parametrize("ends", ["commit prepared 'agent'", "rollback prepared 'agent'"])
def test_case_26_prepared_transaction(history: History, ends: str) -> None:
    """S has a PREPARED transaction → wait up to a limit, else REFUSE; its changes are never skipped."""
    history.given(*PRODUCTS)
    history.open()
    history.agent_conn.execute("begin")
    history.agent_conn.execute("select journal.bind(%s)", (history.session,))
    history.agent_conn.execute("update products set price = 20 where id = 1")
    history.agent_conn.execute("prepare transaction 'agent'")
    history.stop()
    assert history.session is not None
    with pytest.raises(psycopg.DatabaseError) as caught:
        history.report("apply", wait="200 ms")
    assert caught.value.sqlstate == "JR037"
    assert '"agent"' in (caught.value.diag.message_detail or "")
    session = history.session
    rolling = history.meanwhile(lambda: report(history.operator, "apply", [session], wait="20 s"))
    history.until_waiting(history.operator)
    history.others(ends)
    assert rolling.result().rows == ({"restore": 1} if ends.startswith("commit") else {})
    history.expect_start()


def test_case_27_what_was_rolled_back_is_not_in_the_journal(history: History) -> None:
    """`savepoint; update; rollback to` and plpgsql exception blocks → not in the journal."""
    history.given(*PRODUCTS)
    history.agent(
        "savepoint s",
        "update products set price = 99 where id = 1",
        "rollback to s",
        "update products set price = 20 where id = 2",
        """do $$ begin update public.products set price = 98 where id = 1; raise division_by_zero;
           exception when division_by_zero then null; end $$""",
        "savepoint s; update products set note = 'kept' where id = 2; release s",
    )
    done = history.roll_back()
    assert (done.rows, done.changes) == ({"restore": 1}, {"restore": 2})
    history.expect_start()


def test_case_28_several_transactions_and_connections(history: History) -> None:
    """S spans several transactions and connections through a transaction pooler → one session, nothing leaks to others."""
    history.given(
        "create table t (id int primary key, a int)", "insert into t select g, 0 from generate_series(1, 6) g"
    )
    session = history.open()
    pool = [history.connect() for _ in range(3)]
    for number, connection in enumerate(pool, 1):
        with connection.transaction():
            connection.execute("select journal.bind(%s)", (session,))
            connection.execute("update t set a = 1 where id = %s", (number,))
        connection.execute(
            "update t set a = 2 where id = %s", (number + 3,)
        )  # the next client of the same server connection
    assert history.roll_back().rows == {"restore": 3}
    assert history.rows("table t") == {(1, 0), (2, 0), (3, 0), (4, 2), (5, 2), (6, 2)}


def test_case_28_rows_written_before_the_bind_are_not_the_sessions(history: History) -> None:
    """A transaction binds in the middle: what it wrote before is not the session's, what it wrote after is."""
    history.given("create table t (id int primary key, a int)", "insert into t values (1, 0), (2, 0)")
    session = history.open()
    with history.agent_conn.transaction():
        history.agent_conn.execute("update t set a = 1 where id = 1")
        history.agent_conn.execute("select journal.bind(%s)", (session,))
        history.agent_conn.execute("update t set a = 1 where id = 2")
    assert history.roll_back().rows == {"restore": 1}
    assert history.rows("table t") == {(1, 1), (2, 0)}


def test_case_29_redo(history: History) -> None:
    """Redo of a rollback → exact; and a redo of the redo."""
    history.given(*PRODUCTS)
    history.agent(
        "update products set price = 20, note = null where id = 1",
        "delete from products where id = 2",
        "insert into products values (3, 3, '')",
    )
    after = history.snapshot()
    undone = history.roll_back()
    redone = history.redo(undone)
    assert redone.rows == {"restore": 1, "remove": 1, "reinsert": 1}
    assert history.snapshot() == after
    assert (
        history.one("select reversed_by from journal.rollbacks where rollback_id = %s", undone.rollback_id)
        == redone.rollback_id
    )
    assert history.redo(redone).rows == {"restore": 1, "remove": 1, "reinsert": 1}
    history.expect_start()


def test_case_29_redo_after_others_edited(history: History) -> None:
    """Redo after T edited → CONFLICT."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20")
    undone = history.roll_back()
    history.others("update products set price = 33 where id = 1")
    redone = history.redo(undone, "skip")
    assert redone.rows == {"restore": 1, "conflict": 1}
    assert redone.conflict["reason"] == "changed_since"
    assert history.rows("table products") == {(1, 33, "a"), (2, 20, "b")}


def test_case_29_session_rolled_back_again_after_its_redo(history: History) -> None:
    """Rolled back, redone, rolled back by its own id: as if it were the first time."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20", "delete from products where id = 2")
    history.redo(history.roll_back())
    done = history.roll_back()
    assert done.rows == {"restore": 1, "reinsert": 1}
    history.expect_start()


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


@pytest.mark.parametrize("mode", ["refuse", "skip", "force"])
def test_case_29_what_a_partial_rollback_took_back_is_theirs(history: History, mode: str) -> None:
    """T writes a row that was taken back, S is rolled back again → noop: only the row that was left is in question."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20", "update products set note = 'ours'")
    history.others("update products set price = 33 where id = 1")
    assert history.roll_back("skip").rows == {"restore": 1, "conflict": 1}
    history.others("update products set price = 20 where id = 2", "update products set id = 3 where id = 2")
    again = history.roll_back(mode)
    assert again.rows == {"noop": 2, "force" if mode == "force" else "conflict": 1}
    assert {c["key"]["id"] for c in again.conflicts} == {"1"}
    assert history.rows("table products") == {(1, 10, "a") if mode == "force" else (1, 33, "ours"), (3, 20, "b")}


def test_case_29_left_under_the_key_that_others_gave_it(history: History) -> None:
    """A row is left that T has given another key: the next rollback knows it again by its change."""
    history.given(*PRODUCTS)
    history.agent("update products set price = 20")
    history.others("update products set price = 33 where id = 1", "update products set id = 3 where id = 1")
    assert history.roll_back("skip").rows == {"restore": 1, "conflict": 1}
    history.others("update products set note = 'theirs', price = 44")
    assert history.roll_back("refuse").rows == {"noop": 1, "conflict": 1}


def test_case_29_taken_back_in_two_goes_of_which_one_is_redone(history: History) -> None:
    """What the first partial rollback took back is the session's again once that one is redone, whatever the second did."""
    history.given(
        "create table parent (id int primary key)", "create table child (id int primary key references parent)"
    )
    history.agent("insert into parent values (1), (2), (3)")
    history.others("insert into child values (2), (3)")
    first = history.roll_back("skip")
    assert first.rows == {"remove": 1, "conflict": 2}
    history.others("delete from child where id = 2")
    assert history.roll_back("skip").rows == {"noop": 1, "remove": 1, "conflict": 1}
    assert history.redo(first).rows == {"reinsert": 1}
    history.others("delete from child")
    assert history.roll_back().rows == {"noop": 1, "remove": 2}
    history.expect_start()


def test_case_29_a_step_partly_and_then_the_session(history: History) -> None:
    """A step is partly taken back, T writes what was, then all is rolled back: the other step, and what was left of that one."""
    history.given(*PRODUCTS)
    step = history.step("reprice", "update products set price = 20")
    history.step("note", "update products set note = 'ours'")
    history.others("update products set price = 33 where id = 1")
    assert history.roll_back("skip", step_ids=[step]).rows == {"restore": 1, "conflict": 1}
    history.others("update products set price = 44 where id = 2")
    assert history.roll_back("skip").rows == {"noop": 1, "restore": 1, "conflict": 1}
    assert history.rows("table products") == {(1, 33, "ours"), (2, 44, "b")}


def test_case_29_redone_in_part(history: History) -> None:
    """A redo leaves the row that T wrote meanwhile: that row stays taken back, and is T's, even where force is asked for."""
    history.given(*PRODUCTS, "insert into products values (3, 10, 'c')")
    session = history.agent("update products set price = 20")
    history.others("update products set price = 11 where id = 1")
    first = history.roll_back("skip")
    history.others("update products set price = 33 where id = 3")
    assert history.redo(first, "skip").rows == {"restore": 1, "conflict": 1}
    assert history.one("select reversed from journal.sessions where session_id = %s", session) == "partly"
    done = history.roll_back("force", session)
    assert done.rows == {"restore": 1, "noop": 1, "force": 1}
    assert history.rows("select id, price from products") == {(1, 10), (2, 10), (3, 33)}
    history.redo(done)
    assert history.rows("select id, price from products") == {(1, 11), (2, 20), (3, 33)}


def test_case_29_a_redo_in_part_taken_back_in_part(history: History) -> None:
    """What still stands of each rollback decides, row by row, however often they were rolled back themselves."""
    history.given(*PRODUCTS, "insert into products values (3, 10, 'c')")
    session = history.agent("update products set price = 20")
    first = history.roll_back()
    history.others("update products set price = 33 where id = 3")
    second = history.redo(first, "skip")
    history.others("update products set price = 22 where id = 2")
    assert history.redo(second, "skip").rows == {"restore": 1, "conflict": 1}
    assert history.roll_back("force", session).rows == {"noop": 2, "force": 1}
    assert history.rows("select id, price from products") == {(1, 10), (2, 10), (3, 33)}


def test_case_29_two_goes_of_which_the_first_is_redone(history: History) -> None:
    """The second go took the row of T's back by force, T wrote it again: it stays T's when the first is redone."""
    history.given(*PRODUCTS)
    session = history.agent("update products set price = 20")
    history.others("update products set price = 11 where id = 1")
    first = history.roll_back("skip")
    assert history.roll_back("force").rows == {"noop": 1, "force": 1}
    history.others("update products set price = 44 where id = 1")
    history.redo(first)
    assert history.one("select reversed from journal.sessions where session_id = %s", session) == "partly"
    assert history.roll_back("force", session).rows == {"restore": 1, "noop": 1}
    assert history.roll_back("force", session).rows == {"noop": 2}
    assert history.rows("select id, price from products") == {(1, 44), (2, 10)}


def test_case_29_steps_and_sessions_that_share_a_rollback_redone_in_part(history: History) -> None:
    """Of a rollback that stands in part, only what it did to the session that is rolled back now counts."""
    history.given(*PRODUCTS)
    one = history.open("a")
    step = history.step("reprice", "update products set price = 20")
    two = history.open("b")
    history.agent("update products set note = 'two'", session=two)
    both = history.roll_back("refuse", one, two)
    history.others("update products set note = 'theirs' where id = 1")
    assert history.redo(both, "skip").rows == {"restore": 1, "conflict": 1}
    assert history.roll_back("force", one, step_ids=[step]).rows == {"restore": 1, "noop": 1}
    assert history.rows("table products") == {(1, 10, "theirs"), (2, 10, "two")}
    assert history.roll_back("refuse", two).rows == {"restore": 1, "noop": 1}
    assert history.rows("table products") == {(1, 10, "theirs"), (2, 10, "b")}


def test_case_29_a_table_that_is_only_recorded_is_left_every_time(history: History) -> None:
    """What stands in the way of a whole table stays a conflict; it hides nothing of the others."""
    history.given(*PRODUCTS, "create table log (id int primary key)", log={"undo": False})
    history.agent("update products set price = 20", "insert into log values (1)")
    assert history.roll_back("skip").rows == {"restore": 2, "conflict": 1}
    history.others("update products set price = 44")
    again = history.roll_back("skip")
    assert (again.outcome, again.rows) == ("nothing", {"noop": 2, "conflict": 1})


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
