"""Bad input: one clear line that says what to do, the documented exit code, nothing changed."""

from __future__ import annotations

import psycopg
import pytest

from tests import rig
from tests.journal.cli.conftest import Done, Shell, Shop, run

UNKNOWN = "00000000-0000-7000-8000-000000000000"


def failed(done: Done, code: int, words: str) -> None:
    """One line and a hint on stderr, nothing on stdout."""
    lines = [line for line in done.err.splitlines() if not line.startswith("journal: ")]  # progress
    assert (done.code, done.out) == (code, "")
    assert words in lines[0]
    assert len(lines) == 2
    assert lines[1].startswith("hint: ")


def test_an_unknown_session(shell: Shell) -> None:
    failed(shell("show", UNKNOWN), 1, f"there is no session {UNKNOWN}")
    failed(shell("rollback", "--session", UNKNOWN, "--yes"), 1, f"there is no session {UNKNOWN}")


def test_a_piece_of_an_id_that_is_too_short(shell: Shell) -> None:
    failed(shell("show", "0192"), 2, "'0192' is no id of a session")


def test_a_table_that_cannot_be_covered(shell: Shell, conn: psycopg.Connection) -> None:
    conn.execute("create table keyless (n int)")
    done = shell("cover", "keyless")
    assert done.code == 3
    assert "it has no primary key" in done.out


def test_a_table_that_is_not_there(shell: Shell) -> None:
    assert "there is no such table" in shell("cover", "nonsense").out
    failed(shell("sessions", "--table", "nonsense"), 2, 'relation "nonsense" does not exist')


def test_a_malformed_connection_string() -> None:
    done = run("postgresql://u:s3cret/x@h/db", "sessions")
    failed(done, 2, "DATABASE_URL")
    assert "s3cret" not in done.err


def test_a_password_on_the_command_line(shell: Shell) -> None:
    done = shell("sessions", "--dsn", "postgresql://u:s3cret@h/db")
    failed(done, 2, "a password on the command line can be read by others")
    assert "s3cret" not in done.err


@pytest.mark.parametrize("command", ["sessions", "migrate", "doctor", "coverage"])
def test_a_database_that_cannot_be_reached(command: str) -> None:
    failed(run("postgresql://u@127.0.0.1:1/db", command), 1, "cannot reach the database")


def test_a_role_that_may_not_migrate(postgres: rig.Cluster, empty_dsn: str) -> None:
    database = empty_dsn.rpartition("/")[2]
    stranger = postgres.create_role()
    failed(run(postgres.dsn(database, role=stranger), "migrate", "--no-roles"), 1, "permission denied")


def test_a_database_that_does_not_exist(postgres: rig.Cluster) -> None:
    failed(run(postgres.dsn("nowhere"), "sessions"), 1, 'database "nowhere" does not exist')


def test_a_database_that_is_not_migrated(empty_dsn: str) -> None:
    failed(run(empty_dsn, "sessions"), 1, "this database is not migrated")


def test_a_database_that_is_too_new(shell: Shell, superuser_dsn: str) -> None:
    with psycopg.connect(superuser_dsn) as conn:
        conn.execute("update journal.schema_version set version_num = '9999'")
    failed(shell("sessions"), 1, "this database is at schema revision 9999")


def test_no_permission(postgres: rig.Cluster, database: str) -> None:
    stranger = postgres.create_role()
    failed(run(postgres.dsn(database, role=stranger), "sessions"), 1, "permission denied")


def test_a_connection_that_may_only_read(shell: Shell, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c default_transaction_read_only=on")
    failed(shell("rollback", "--session", shop.session_id, "--dry-run"), 1, "in a read-only transaction")


def test_a_question_without_a_terminal(shell: Shell, shop: Shop, conn: psycopg.Connection) -> None:
    failed(shell("rollback", "--session", shop.session_id), 2, "there is no terminal to ask on")
    assert conn.execute("select count(*) from orders where status = 'closed'").fetchone() == (10,)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["rollback"], "name the session with --session"),
        (["rollback", UNKNOWN], f"name a session with --session {UNKNOWN}"),
        (["rollback", "--agent", "bot"], "--agent needs --since"),
        (["rollback", "--session", UNKNOWN, "--since", "1h"], "--since and --until go with --agent"),
        (["rollback", "--session", UNKNOWN, "--dry-run", "--rehearse"], "exclude each other"),
        (["sessions", "--since", "yesterday"], "no time"),
        (["rollback", "--session", UNKNOWN, "--wait", "long"], "no duration"),
        (["cover"], "name tables"),
        (["stop", "--reason", "x"], "name a session"),
        (["nonsense"], "No such command"),
        (["changes", UNKNOWN, "--key", "1"], "--key needs --table"),
    ],
)
def test_wrong_usage(shell: Shell, words: list[str], complaint: str) -> None:
    done = shell(*words)
    assert done.code == 2
    assert done.err.startswith("usage: ")
    assert complaint in done.err


def test_an_error_as_json_is_the_result(shell: Shell) -> None:
    done = shell("show", UNKNOWN, "--json")
    assert (done.code, done.err) == (1, "")
    assert done.json == {
        "schema": "error/1",
        "error": {
            "code": "JR009",
            "message": f"there is no session {UNKNOWN}",
            "hint": "`journal sessions` lists them",
            "retryable": False,
        },
    }


def test_wrong_usage_as_json_is_the_result(shell: Shell) -> None:
    done = shell("rollback", "--json")
    assert done.code == 2
    assert done.json["error"]["code"] == "usage"
