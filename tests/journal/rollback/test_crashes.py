"""Case 59: kill -9 of the client, the backend or the postmaster, at every phase: all or nothing, and the status is known."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import UUID

import psycopg
import pytest

import journal
from journal.embedded import PostgresServer
from journal.migrate import migrate
from tests.rig import start_server

PHASES = ("reading what the session changed", "locking rows", "writing", "verifying", "recording", "committing")
# Where a rollback goes through the gate. It is shut for the session that names the phase, while the test holds the lock.
GATES = (
    "create schema gate",
    "grant usage on schema gate to public",
    """create function gate.pass(phase text) returns void language plpgsql as $$ begin
           while current_setting('gate.phase', true) = phase and not pg_try_advisory_xact_lock(1) loop
               perform pg_sleep(0.005);
           end loop; end $$""",
    """create or replace function journal.undo_progress(phase text) returns void language plpgsql as $$ begin
           perform gate.pass(phase); end $$""",
    """create function gate.pass() returns trigger language plpgsql as $$ begin
           perform gate.pass(tg_argv[0]); return null; end $$""",
    "create trigger recording after insert on journal.rollback execute function gate.pass('recording')",
    """create constraint trigger committing after insert on journal.rollback deferrable initially deferred
           for each row execute function gate.pass('committing')""",
    "create table t (id int primary key, v int)",
    "select journal.cover('t')",
)
CLIENT = "import sys, psycopg, journal\nwith psycopg.connect(sys.argv[1]) as c: journal.rollback(c, sys.argv[2])"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that may be killed, whose rollbacks can be halted at every phase."""
    with start_server() as started:
        migrate(started.dsn())
        with psycopg.connect(started.dsn(), autocommit=True) as conn:
            for statement in GATES:
                conn.execute(statement.encode())
        yield started


@pytest.fixture
def session(server: PostgresServer) -> UUID:
    """What a session did to a table that it had for itself, to be rolled back."""
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        conn.execute("truncate t")
        conn.execute("insert into t select n, 0 from generate_series(1, 20) n")
        with journal.open_session(conn, agent="bot") as opened, opened.step("work"):
            conn.execute("update t set v = 1 where id <= 10")
            conn.execute("delete from t where id > 15")
        return UUID(str(opened.id))


@pytest.mark.parametrize("phase", PHASES)
def test_a_backend_is_killed(server: PostgresServer, session: UUID, phase: str) -> None:
    def kill(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    _interrupted(server, session, phase, kill)
    _reconnect(server).close()
    assert _is_known(server, session) == "no"


@pytest.mark.parametrize("phase", ["writing", "committing"])
def test_the_postmaster_is_killed(server: PostgresServer, session: UUID, phase: str) -> None:
    _interrupted(server, session, phase, lambda _: server.kill())
    server.start()
    assert _is_known(server, session) == "no"


def test_the_postmaster_is_killed_after_the_commit(server: PostgresServer, session: UUID) -> None:
    with psycopg.connect(server.dsn()) as conn:
        journal.rollback(conn, session)
    server.kill()
    server.start()
    assert _is_known(server, session) == "fully"


@pytest.mark.parametrize("phase", ["writing", "committing"])
def test_a_client_is_killed(server: PostgresServer, session: UUID, phase: str) -> None:
    """Its backend goes on until it has to tell, or ask for, something: a commit that was asked for takes place."""
    with psycopg.connect(server.dsn(), autocommit=True) as guard:
        guard.execute("select pg_advisory_lock(1)")
        client = subprocess.Popen([sys.executable, "-c", CLIENT, _halting(server, phase), str(session)])
        pid = _at_the_gate(guard)
        client.kill()
        client.wait()
        guard.execute("select pg_advisory_unlock(1)")
        _gone(guard, pid)
    assert _is_known(server, session) == ("fully" if phase == "committing" else "no")


def _interrupted(server: PostgresServer, session: UUID, phase: str, kill: Callable[[int], object]) -> None:
    """A rollback that is killed, with what `kill` does to its backend, when it comes to a phase."""
    with (
        psycopg.connect(server.dsn(), autocommit=True) as guard,
        psycopg.connect(_halting(server, phase)) as victim,
        ThreadPoolExecutor(1) as pool,
    ):
        guard.execute("select pg_advisory_lock(1)")
        rolling = pool.submit(_roll_back, victim, session)
        kill(_at_the_gate(guard))
        with pytest.raises(journal.OutcomeUnknown if phase == "committing" else psycopg.Error):
            rolling.result()
        with pytest.raises(psycopg.OperationalError):
            guard.execute("select pg_sleep(60)")  # one backend dies, and all are started anew


def _roll_back(conn: psycopg.Connection, session: UUID) -> None:
    journal.rollback(conn, session)
    conn.commit()


def _halting(server: PostgresServer, phase: str) -> str:
    escaped = phase.replace(" ", "%5C%20")
    return f"{server.dsn()}?application_name=victim&options=-c%20gate.phase%3D{escaped}"


def _at_the_gate(guard: psycopg.Connection) -> int:
    """The backend of the victim, once it waits."""
    return int(
        _until(guard, "select pid from pg_stat_activity where application_name = 'victim' and wait_event = 'PgSleep'")
    )


def _gone(guard: psycopg.Connection, pid: int) -> None:
    _until(guard, f"select 1 where not exists (select from pg_stat_activity where pid = {pid})")


def _until(conn: psycopg.Connection, query: str) -> int:
    """The first value that a query finds."""
    looks = f"""do $$ declare found int; begin
        for n in 1 .. 4000 loop
            execute {_literal(query)} into found;
            if found is not null then perform set_config('gate.found', found::text, false); return; end if;
            perform pg_stat_clear_snapshot(), pg_sleep(0.005);
        end loop;
        raise 'never came'; end $$"""
    conn.execute(looks.encode())
    found = conn.execute("select current_setting('gate.found')::int").fetchone()
    assert found is not None
    return int(found[0])


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _reconnect(server: PostgresServer) -> psycopg.Connection:
    """A connection to a server whose backends have just been started anew."""
    while True:
        with suppress(psycopg.OperationalError):
            return psycopg.connect(server.dsn(), autocommit=True)


def _is_known(server: PostgresServer, session: UUID) -> str:
    """How much of a session is taken back, by its status; the table and the next rollback agree with it."""
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        found = conn.execute(
            "select s.reversed, (select count(*) from journal.rollbacks r where s.session_id = any (r.session_ids)),"
            " (select count(*) from t where v = 0) from journal.sessions s where s.session_id = %s",
            [session],
        ).fetchone()
        assert found is not None
        assert found[1:] == {"no": (0, 5), "fully": (1, 20)}[found[0]]
        again = journal.rollback(conn, session)
        assert again.outcome == ("done" if found[0] == "no" else "nothing")
        assert conn.execute("select count(*) from t where v = 0").fetchone() == (20,)
    return str(found[0])
