"""Cases 21, 27 and 28: what the session changed itself, and what is the session's."""

from __future__ import annotations

from tests.journal.rollback.history import PRODUCTS, History


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
