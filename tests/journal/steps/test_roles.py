"""Who may do what: agents work through functions, readers look at views, nobody touches the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest

import journal
import outbox
from tests import rig
from tests.journal.steps.support import column, one

Login = Callable[[str], psycopg.Connection]


@pytest.fixture
def login(postgres: rig.Cluster, database: str, db: psycopg.Connection, superuser_dsn: str) -> Iterator[Login]:
    """`login(group)`: a connection as a new login role whose only right is its membership of the group."""
    assert db is not None
    with ExitStack() as stack, psycopg.connect(superuser_dsn, autocommit=True) as admin:

        def logged_in(group: str) -> psycopg.Connection:
            name = postgres.create_role()
            admin.execute(f"grant {group} to {name}".encode())
            if group == "journal_agent":
                admin.execute(f"grant select, insert, update, delete on notes, orders to {name}".encode())
            return stack.enter_context(psycopg.connect(postgres.dsn(database, role=name), autocommit=True))

        yield logged_in


def test_an_agent_works(login: Login, db: psycopg.Connection) -> None:
    conn = login("journal_agent")
    with journal.open_session(conn, agent="bot") as session:
        for _ in range(2):
            with session.step("note", key="k") as step:
                if not step.replayed:
                    conn.execute("insert into notes (note) values ('x')")
                    outbox.publish(conn, topic="notes")
                    step.complete("done")
        with pytest.raises(ZeroDivisionError), session.step("note"):
            raise ZeroDivisionError
        with pytest.raises(journal.StepFailed), session.step("note", key="no"):
            raise journal.StepFailed("no")
        with conn.transaction():
            journal.bind(conn, session.id)
    assert step.receipt is not None
    assert step.receipt.changes == {"public.notes": {"insert": 1}}
    assert len(step.receipt.message_ids) == 1
    assert journal.receipt(conn, step.receipt.id) == step.receipt
    assert column(db, "select db_user::text from journal.steps limit 1") == [conn.info.user]


def test_an_agent_makes_external_effects_and_claims(login: Login, superuser_dsn: str) -> None:
    conn = login("journal_agent")
    with psycopg.connect(superuser_dsn, autocommit=True) as admin, journal.open_session(conn, agent="bot") as session:
        for _ in range(2):  # anew when the key has expired
            with pytest.raises(journal.OutcomeUnknown), session.external("charge", key="k"):
                raise TimeoutError
            with session.external("charge", key="k", probe=lambda _: None) as effect:
                conn.execute("insert into notes (note) values ('x')")
            assert effect.receipt is not None
            assert effect.receipt.changes == {"public.notes": {"insert": 1}}
            admin.execute("update journal.step set key_expires_at = now()")
        assert session.check_reply([session.claim("charged", receipt=effect)])
        with session.step("note", key="k", kind="read"):
            assert one(conn, "select count(*) from notes") == 2


PRIVATE = [
    "select * from journal.session",
    "select * from journal.step",
    "select * from journal.receipt",
    "select * from journal.binding",
    "select * from journal.secret",
    "select * from journal.sessions",
    "select * from journal.receipts",
    "insert into journal.stop (agent, db_user) values ('x', 'x')",
    "select journal.set_binding(gen_random_uuid(), null)",
    "select journal.keyed_digest('a', 'b', '3')",
    "select journal.enter_session(gen_random_uuid())",
    "select journal.reverse_steps('{}', '{}', gen_random_uuid(), false, '{}')",
    "select journal.write_receipt(null, null)",
    "select journal.stop_agent('other')",
    "select journal.stop_session(gen_random_uuid())",
]


@pytest.mark.parametrize("statement", PRIVATE)
def test_an_agent_reaches_nothing_else(login: Login, statement: str) -> None:
    conn = login("journal_agent")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement.encode())


def test_a_session_belongs_to_the_user_that_opened_it(login: Login) -> None:
    mine, other = login("journal_agent"), login("journal_agent")
    session = journal.open_session(mine, agent="bot", run_id="r")
    with pytest.raises(journal.NotSessionOwner):
        journal.resume_session(other, session.id)
    with pytest.raises(journal.NotSessionOwner):
        journal.open_session(other, agent="bot", run_id="r")
    with pytest.raises(journal.NotSessionOwner), other.transaction():
        journal.bind(other, session.id)
    with pytest.raises(psycopg.DatabaseError) as caught:
        other.execute("select journal.close_session(%s)", (session.id,))
    assert isinstance(journal.from_database(caught.value), journal.NotSessionOwner)
    with session.step("note"):
        pass


def test_a_receipt_is_confirmed_by_whoever_was_given_the_right(login: Login, superuser_dsn: str) -> None:
    """An agent cannot confirm its own; a consumer needs no more than the one function."""
    agent, operator, consumer = (login(f"journal_{group}") for group in ("agent", "operator", "reader"))
    with journal.open_session(agent, agent="bot") as session, session.step("note") as step:
        pass
    assert step.receipt is not None
    for stranger in (agent, consumer):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            journal.confirm(stranger, step.receipt.id, "mailer")
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        admin.execute(f"grant execute on function journal.confirm(uuid, text) to {consumer.info.user}".encode())
    assert journal.confirm(consumer, step.receipt.id, "mailer")
    assert journal.confirm(operator, step.receipt.id, "ledger")


def test_an_open_external_effect_is_taken_by_its_own_user_only(login: Login) -> None:
    """A stranger could hold its row, and would learn the provider's key."""
    mine, other = login("journal_agent"), login("journal_agent")
    session = journal.open_session(mine, agent="bot")
    with session.external("charge", key="k") as step:
        step_id = step.id
        with pytest.raises(psycopg.DatabaseError) as caught:
            other.execute("select * from journal.take_external(%s, gen_random_uuid(), '1s')", (step_id,))
        assert isinstance(journal.from_database(caught.value), journal.NotSessionOwner)
        step.complete({"charge": 1})


def test_a_receipt_is_shown_to_whose_step_it_was(login: Login) -> None:
    mine, other, reader = login("journal_agent"), login("journal_agent"), login("journal_reader")
    session = journal.open_session(mine, agent="bot")
    with session.step("note") as step:
        pass
    assert step.receipt is not None
    assert journal.receipt(mine, step.receipt.id) == step.receipt
    assert journal.receipt(reader, step.receipt.id) == step.receipt
    with pytest.raises(journal.UnknownReceipt):
        journal.receipt(other, step.receipt.id)


@pytest.mark.parametrize("group", ["journal_reader", "journal_operator", "journal_auditor"])
def test_readers_read_the_views(login: Login, db: psycopg.Connection, group: str) -> None:
    session = journal.open_session(db, agent="bot")
    with session.step("note", key="k"):
        pass
    conn = login(group)
    assert column(conn, "select status from journal.sessions") == ["open"]
    assert column(conn, "select status from journal.steps") == ["completed"]
    assert column(conn, "select status from journal.receipts") == ["committed"]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("select journal.open_session('x')")


def test_an_operator_stops(login: Login, db: psycopg.Connection) -> None:
    session = journal.open_session(db, agent="bot")
    operator = login("journal_operator")
    journal.stop_session(operator, session.id, "enough")
    journal.stop_agent(operator, "other", "enough")
    assert journal.resume_agent(operator, "other")
    assert one(db, "select status from journal.sessions") == "stopped"


def test_a_step_runs_as_the_role_of_its_session(
    login: Login, postgres: rig.Cluster, superuser_dsn: str, db: psycopg.Connection
) -> None:
    conn = login("journal_agent")
    role = postgres.create_role()
    with pytest.raises(journal.SessionError, match="may not act"):
        journal.open_session(conn, agent="bot", role=role)
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        admin.execute(f"grant {role} to {conn.info.user}".encode())
        admin.execute(f"grant insert on notes to {role}".encode())
    session = journal.open_session(conn, agent="bot", role=role)
    with session.step("note", key="k") as step:
        assert one(conn, "select current_user::text") == role
        conn.execute("insert into notes (note) values ('x')")
    assert one(conn, "select current_user::text") == conn.info.user
    assert step.receipt is not None
    with pytest.raises(psycopg.errors.InsufficientPrivilege), session.step("forbidden"):
        conn.execute("select * from orders")
    assert one(conn, "select current_user::text") == conn.info.user
    with session.step("note", key="k") as step:
        assert step.replayed
        assert one(conn, "select current_user::text") == role
    with conn.transaction():
        with session.step("note", join=True):
            assert one(conn, "select current_user::text") == role
        assert one(conn, "select current_user::text") == conn.info.user
    with journal.resume_session(conn, session.id) as resumed, resumed.step("note"):
        assert one(conn, "select current_user::text") == role
    assert set(column(db, "select db_role::text from journal.steps")) == {role}
    assert one(db, "select db_role::text from journal.statements limit 1") == role
    with pytest.raises(journal.SessionError):
        journal.open_session(conn, agent="bot", role="no such role")


def test_a_named_agent_role_publishes_and_writes_only_inside_a_session(
    login: Login, superuser_dsn: str, db: psycopg.Connection
) -> None:
    """Also not with a binding that it kept from before its savepoint was rolled back."""
    conn = login("journal_agent")
    with psycopg.connect(superuser_dsn) as admin:
        admin.execute("select journal.add_agent_role(%s)", (conn.info.user,))
    with pytest.raises(journal.UnboundWrite):
        outbox.publish(conn, topic="notes")
    session = journal.open_session(conn, agent="bot")
    with session.step("note"):
        conn.execute("insert into notes (note) values ('x')")
        outbox.publish(conn, topic="notes")
    with conn.transaction():
        with conn.transaction(force_rollback=True):
            journal.bind(conn, session.id)
            kept = one(conn, "select current_setting('journal.binding')")
        conn.execute("select set_config('journal.binding', %s, true)", (kept,))
        with pytest.raises(psycopg.DatabaseError) as refused, conn.transaction():
            conn.execute("insert into notes (note) values ('y')")
    assert isinstance(journal.from_database(refused.value), journal.UnboundWrite)
    assert column(db, "select session_id from outbox.messages") == [session.id]
