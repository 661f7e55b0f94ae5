"""Cases 22 and 24 to 26: what is in progress: writers, other rollbacks, the session itself, what it has prepared."""

from __future__ import annotations

import psycopg
import pytest

from tests.journal.rollback.history import PRODUCTS, History, report


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
