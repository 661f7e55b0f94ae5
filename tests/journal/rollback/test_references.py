"""Cases 6 to 11: foreign keys. S is the session that is rolled back, T is anyone else."""

from __future__ import annotations

import pytest

from tests.journal.rollback.history import History, report


def test_case_06_inserted_parent_and_child(history: History) -> None:
    """S inserts parent and child → undone, child before parent."""
    history.given(
        "create table child (id int primary key, p int)",
        "create table parent (id int primary key)",
        "alter table child add foreign key (p) references parent",
    )
    history.agent("insert into parent values (1), (2)", "insert into child values (1, 1), (2, 2)")
    assert history.roll_back().rows == {"remove": 4}
    history.expect_start()


ACTIONS = ["no action", "restrict", "cascade", "set null", "set default"]


@pytest.mark.parametrize("action", ACTIONS)
def test_case_07_others_hung_a_row_below_ours(history: History, action: str) -> None:
    """S inserts customer 9; T inserts an order for 9, committed → CONFLICT listing T's order, nothing of T's is touched."""
    _customer_nine(history, action)
    history.others("insert into orders values (1, 9)")
    done = history.roll_back("skip")
    assert done.rows == {"conflict": 1}
    assert (done.conflict["reason"], done.conflict["constraint"]) == ("referenced_since", "orders_customer_fkey")
    assert "public.orders" in done.conflict["theirs"]
    assert "id=1" in done.conflict["theirs"]
    assert history.rows("table orders") == {(1, 9)}


@pytest.mark.parametrize("action", ACTIONS)
def test_case_07_others_are_about_to_hang_a_row_below_ours(history: History, action: str) -> None:
    """The same, T's insert in flight (evidence 40): the rollback waits for it, looks again, and leaves T's row alone."""
    _customer_nine(history, action)
    history.stop()
    assert history.session is not None
    session = history.session
    with history.others_conn.transaction():
        history.others_conn.execute("insert into orders values (1, 9)")
        rolling = history.meanwhile(lambda: report(history.operator, "apply", [session], on_conflict="skip"))
        history.until_waiting(history.operator)
    done = rolling.result()
    assert done.rows == {"conflict": 1}
    assert done.reasons == {"referenced_since"}
    assert history.rows("table orders") == {(1, 9)}


def _customer_nine(history: History, action: str) -> None:
    history.given(
        "create table customers (id int primary key)",
        f"create table orders (id int primary key, customer int default 1 references customers on delete {action})",
        "insert into customers values (1)",
    )
    history.agent("insert into customers values (9)")


def test_case_08_cascade_over_three_levels(history: History) -> None:
    """S deletes a parent, the FK cascade removes three levels, all NOT DEFERRABLE → RESTORE all, no ALTER TABLE."""
    history.given(
        "create table a (id int primary key)",
        "create table b (id int primary key, a int not null references a on delete cascade)",
        "create table c (id int primary key, b int not null references b on delete cascade)",
        "create table d (id int primary key, c int not null references c on delete cascade)",
        "insert into a values (1), (2)",
        "insert into b select g, g % 2 + 1 from generate_series(1, 4) g",
        "insert into c select g, g % 4 + 1 from generate_series(1, 8) g",
        "insert into d select g, g % 8 + 1 from generate_series(1, 16) g",
    )
    marks = history.rows("select oid, xmin::text from pg_class where relnamespace = 'public'::regnamespace")
    history.agent("delete from a where id = 1")
    assert history.roll_back().rows == {"reinsert": 15}
    history.expect_start()
    assert history.rows("select oid, xmin::text from pg_class where relnamespace = 'public'::regnamespace") == marks


@pytest.mark.parametrize("action", ["cascade", "set null", "set default"])
def test_case_09_cascade_into_an_uncovered_table(history: History, action: str) -> None:
    """A cascade reaches a child table that is not covered → covering never refuses because of a neighbour; a rollback that may have
    cascaded into an uncovered table is REFUSED (coverage_gap); never partial success."""
    history.given(
        "create table parent (id int primary key)",
        f"create table child (id int primary key, p int default 1 references parent on delete {action})",
        "insert into parent values (1), (2), (3)",
        "insert into child values (1, 2)",
        uncovered=["child"],
    )
    history.agent("delete from parent where id in (2, 3)")
    for mode in ("refuse", "skip"):
        done = history.roll_back(mode)
        assert (done.outcome, done.exit_code) == ("refused", 3)
        assert "coverage_gap" in done.reasons
    assert history.rows("table parent") == {(1,)}


def test_case_09_uncovered_child_without_an_action(history: History) -> None:
    """An uncovered child whose foreign key does nothing by itself is no reason to refuse."""
    history.given(
        "create table parent (id int primary key)",
        "create table child (id int primary key, p int references parent)",
        "insert into parent values (1), (2)",
        "insert into child values (1, 1)",
        uncovered=["child"],
    )
    history.agent("delete from parent where id = 2")
    assert history.roll_back().rows == {"reinsert": 1}
    history.expect_start()


def test_case_09_updates_reach_no_child(history: History) -> None:
    """Nor is one whose parent was only updated, in columns that the foreign key does not refer to."""
    history.given(
        "create table parent (id int primary key, note text)",
        "create table child (id int primary key, p int references parent on delete cascade on update cascade)",
        "insert into parent values (1, 'a')",
        "insert into child values (1, 1)",
        uncovered=["child"],
    )
    history.agent("update parent set note = 'b'")
    assert history.roll_back().rows == {"restore": 1}
    history.expect_start()


@pytest.mark.parametrize("action", ["set null", "set default"])
def test_case_10_references_come_back_with_the_parent(history: History, action: str) -> None:
    """`on delete set null` / `set default` → references RESTORED with the parent."""
    history.given(
        "create table parent (id int primary key)",
        f"create table child (id int primary key, p int default 1 references parent on delete {action}, note text)",
        "insert into parent values (1), (2)",
        "insert into child values (1, 2, 'x'), (2, 1, 'y'), (3, null, 'z')",
    )
    history.agent("delete from parent where id = 2")
    assert history.roll_back().rows == {"reinsert": 1, "restore": 1}
    history.expect_start()


def test_case_11_self_referencing_tree(history: History) -> None:
    """Self-referencing tree, root deleted → RESTORE."""
    history.given(
        "create table tree (id int primary key, parent int references tree on delete cascade, name text)",
        "insert into tree values (1, null, 'root'), (2, 1, 'a'), (3, 1, 'b'), (4, 2, 'aa'), (5, 4, 'aaa'), (6, null, 'other')",
    )
    history.agent("delete from tree where id = 1")
    assert history.roll_back().rows == {"reinsert": 5}
    history.expect_start()


@pytest.mark.parametrize("action", ["cascade", "set null", "set default"])
def test_a_foreign_key_restored_in_part_keeps_its_other_column(history: History, action: str) -> None:
    """Two sessions: one points a child at a parent, the other gives that parent a new key. The child's second column holds
    again what it held at first, so it is no change; the parent's way back must not take it along."""
    history.given(
        f"""create table t (a int, b text default 'x', parent_a int, parent_b text default 'a', primary key (a, b),
                            foreign key (parent_a, parent_b) references t on update {action} deferrable)""",
        "insert into t values (1, 'c', null, 'a'), (2, 'b', null, null)",
    )
    first = history.open()
    history.agent("update t set (parent_a, parent_b) = (2, 'b') where a = 1")
    second = history.open()
    history.agent("update t set b = 'a' where a = 2")
    if action != "cascade":
        history.agent("update t set (parent_a, parent_b) = (2, 'a') where a = 1")
    done = history.roll_back("refuse", first, second)
    assert done.outcome == "done"
    history.expect_start()
    history.redo(done)
    assert history.rows("select a, b, parent_a, parent_b from t") == {(1, "c", 2, "a"), (2, "a", None, None)}


def test_case_03_a_foreign_key_of_which_one_column_changed_while_its_parents_changed_keys(history: History) -> None:
    """Restored in part it pointed at nothing until the rest was back."""
    history.given(
        "create table t (a int, b int, pa int, pb int, primary key (a, b), foreign key (pa, pb) references t on update cascade)",
        "insert into t values (3, 1, null, null), (2, 2, 2, 2)",
    )
    history.agent("update t set pa = 3, pb = 1 where a = 2", "update t set a = 5 - a")
    assert history.roll_back().rows == {"restore": 2}
    history.expect_start()


def test_case_07_references_to_a_unique_constraint_of_which_one_column_changed(history: History) -> None:
    """The plan knew the parents only by the columns that the session changed, and ended in an error. Some call columns w1."""
    history.given(
        "create table p (id int primary key, a int, w1 text, unique (a, w1))",
        "create table c (id int primary key, a int, w1 text, foreign key (a, w1) references p (a, w1) on update cascade)",
        "insert into p values (1, 1, 'x'), (2, 2, 'x')",
        "insert into c values (1, 1, 'x'), (2, 1, 'x')",
    )
    history.agent("update p set a = 3 where id = 1", "update c set a = 2 where id = 2")
    assert history.roll_back().rows == {"restore": 3}
    history.expect_start()


@pytest.mark.parametrize("action", ["no action", "restrict"])
def test_case_03_a_held_key_that_another_row_took(history: History, action: str) -> None:
    """No order of statements puts it back as long as the row refers to it: it lets go, and refers to what it did at last."""
    history.given(
        "create table p (id int primary key)",
        f"create table c (id int primary key, p int references p on update {action})",
        "create table f (id int primary key, p int references p on update cascade)",
        "insert into p values (1), (2)",
        "insert into c values (1, null), (2, 2)",
        "insert into f values (1, 1)",
    )
    history.agent("update p set id = 3 where id = 1", "update c set p = 3", "insert into p values (1)")
    done = history.roll_back()
    assert done.rows == {"restore": 4, "remove": 1}
    history.expect_start()
    history.redo(done)
    assert history.rows("table c") == {(1, 3), (2, 3)}
    assert history.rows("table f") == {(1, 3)}
