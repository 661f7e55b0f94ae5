"""`journal rollback`: what it prints, what it asks for, how it exits."""

from __future__ import annotations

import time

import psycopg
import pytest

import journal
from tests.journal.cli.conftest import Shell, Shop

REPORT_KEYS = {
    *(
        "schema",
        "mode",
        "outcome",
        "exit_code",
        "committed",
        "database",
        "rollback_id",
        "reason",
        "on_conflict",
        "plan_digest",
    ),
    *(
        "started_at",
        "finished_at",
        "sessions",
        "steps",
        "rows",
        "changes",
        "tables",
        "conflicts",
        "conflicts_shown",
        "messages",
    ),
    *("keys_reversed", "receipts_reversed", "residue", "residue_shown", "redo"),
}


def statuses(conn: psycopg.Connection) -> dict[str, int]:
    return dict(conn.execute("select status, count(*) from orders group by status").fetchall())


def test_a_whole_rollback(shell: Shell, shop: Shop, conn: psycopg.Connection) -> None:
    done = shell("rollback", "--session", shop.session_id, "--yes", "--reason", "INC-91")
    assert done.code == 0
    assert "Rolled back" in done.out
    assert "11  restored to what they were before" in done.out
    assert "2  added again" in done.out
    assert "1  not sent yet: cancelled" in done.out
    assert "take it back: journal rollback --session" in done.out
    redo = shell("rollback", "--session", done.out.split()[-1], "--dry-run").out
    assert "1  would be answered by a new message: a compensation, or once more what a rollback had cancelled" in redo
    assert statuses(conn) == {"new": 100}
    assert conn.execute(
        "select reversed from journal.sessions where session_id = %s", [shop.session_id]
    ).fetchone() == ("fully",)


def test_the_report_as_json(shell: Shell, shop: Shop) -> None:
    report = shell("rollback", "--session", shop.session_id, "--yes", "--reason", "INC-91", "--json").json
    assert set(report) >= REPORT_KEYS
    assert (report["schema"], report["outcome"], report["exit_code"], report["committed"]) == (
        "journal.rollback/1",
        "done",
        0,
        True,
    )
    assert report["rows"]["total"] == 13
    assert sum(number for name, number in report["rows"].items() if name != "total") == 13
    assert report["messages"] == {"cancel": 1, "compensate": 0, "sent": 0}
    assert report["reason"] == "INC-91"


@pytest.mark.usefixtures("conflict")
def test_a_conflict_is_refused_and_named(shell: Shell, shop: Shop, conn: psycopg.Connection) -> None:
    done = shell("rollback", "--session", shop.session_id, "--yes")
    assert done.code == 3
    assert "Refused: nothing was changed" in done.out
    assert "public.orders id=95 · status" in done.out
    assert "before the session new   the session left closed   now disputed" in done.out
    assert "--on-conflict skip" in done.out
    assert statuses(conn) == {"new": 87, "refunded": 1, "closed": 9, "disputed": 1}


@pytest.mark.usefixtures("conflict")
def test_skip_leaves_the_conflict_and_undoes_the_rest(shell: Shell, shop: Shop, conn: psycopg.Connection) -> None:
    done = shell("rollback", "--session", shop.session_id, "--on-conflict", "skip", "--yes")
    assert done.code == 5
    assert "Rolled back in part" in done.out
    assert statuses(conn) == {"new": 99, "disputed": 1}


@pytest.mark.usefixtures("conflict")
def test_force_overwrites_and_says_so(shell: Shell, shop: Shop, conn: psycopg.Connection) -> None:
    done = shell("rollback", "--session", shop.session_id, "--on-conflict", "force", "--yes")
    assert done.code in {0, 5}, done
    assert "1  overwritten although others came after" in done.out
    assert "Overwritten: 1 row" in done.out
    assert "public.orders id=95 · status" in done.out
    assert statuses(conn) == {"new": 100}


@pytest.mark.usefixtures("conflict")
def test_cascade_says_that_it_does_not_overrule_people(shell: Shell, shop: Shop) -> None:
    done = shell("rollback", "--session", shop.session_id, "--on-conflict", "cascade", "--yes")
    assert done.code == 3
    assert "cascade takes back other agent sessions, not what people wrote; --on-conflict skip" in done.out


def test_cascade_takes_the_sessions_along_that_came_after(shell: Shell, shop: Shop, conn: psycopg.Connection) -> None:
    with journal.open_session(conn, agent="second") as later, later.step("dispute"):
        conn.execute("update orders set status = 'disputed' where id = 95")
    done = shell("rollback", "--session", shop.session_id, "--on-conflict", "cascade", "--yes")
    assert done.code == 0, done
    assert f"session {later.id}  second  (cascade)" in done.out
    assert statuses(conn) == {"new": 100}


def test_cascade_stops_the_sessions_that_it_takes_along(shell: Shell, shop: Shop, conn: psycopg.Connection) -> None:
    """Else the one on top, which is open still, would keep the rollback out."""
    later = journal.open_session(conn, agent="second")
    with later.step("dispute"):
        conn.execute("update orders set status = 'disputed' where id = 95")
    done = shell("rollback", "--session", shop.session_id, "--on-conflict", "cascade", "--yes", "--wait", "2s")
    assert done.code == 0, done
    assert f"session {later.id} is stopped for good" in done.err
    assert conn.execute("select status from journal.sessions where session_id = %s", [later.id]).fetchone() == (
        "stopped",
    )


@pytest.mark.parametrize("how", ["--dry-run", "--rehearse"])
def test_trying_changes_nothing_and_exits_as_the_real_run(
    shell: Shell, shop: Shop, conn: psycopg.Connection, how: str
) -> None:
    before = statuses(conn)
    done = shell("rollback", "--session", shop.session_id, how, "--json")
    assert (done.code, done.json["outcome"], done.json["committed"]) == (0, "done", False)
    assert set(done.json) >= REPORT_KEYS
    assert statuses(conn) == before


def test_a_rehearsal_does_not_wait_long(shell: Shell, shop: Shop, dsn: str) -> None:
    with psycopg.connect(dsn) as writer:
        writer.execute("update orders set status = 'disputed' where id = 95")
        started = time.monotonic()
        done = shell("rollback", "--session", shop.session_id, "--rehearse", "--json")
        assert (done.code, time.monotonic() - started < 20) == (6, True), done
        writer.rollback()
    assert shell("rollback", "--session", shop.session_id, "--rehearse").code == 0


def test_the_plan_that_was_shown_is_applied_or_nothing(shell: Shell, shop: Shop, conn: psycopg.Connection) -> None:
    digest = shell("rollback", "--session", shop.session_id, "--dry-run", "--on-conflict", "skip", "--json").json[
        "plan_digest"
    ]
    conn.execute("update orders set status = 'disputed' where id = 95")
    words = ("rollback", "--session", shop.session_id, "--on-conflict", "skip", "--plan", digest, "--yes")
    done = shell(*words)
    assert done.code == 6
    assert "the plan is no longer the one that was shown" in done.err
    conn.execute("update orders set status = 'closed' where id = 95")
    assert shell(*words).code == 6  # changed, and back: somebody's decision
    fresh = shell("rollback", "--session", shop.session_id, "--dry-run", "--on-conflict", "skip", "--json").json[
        "plan_digest"
    ]
    assert shell("rollback", "--session", shop.session_id, "--on-conflict", "skip", "--plan", fresh, "--yes").code == 5


def test_a_second_rollback_has_nothing_to_do(shell: Shell, shop: Shop) -> None:
    shell("rollback", "--session", shop.session_id, "--yes")
    done = shell("rollback", "--session", shop.session_id, "--yes")
    assert done.code == 4
    assert "Nothing to roll back" in done.out


def test_the_redo_command_of_the_report_works(shell: Shell, shop: Shop, conn: psycopg.Connection) -> None:
    before = statuses(conn)
    report = shell("rollback", "--session", shop.session_id, "--yes", "--json").json
    redo = report["redo"].split()
    assert redo[:2] == ["journal", "rollback"]
    assert shell(*redo[1:], "--yes").code in {0, 5}
    assert statuses(conn) == before


def test_one_step_of_a_session(shell: Shell, conn: psycopg.Connection, shop: Shop) -> None:
    ordinal = next(
        row["ordinal"] for row in shell("show", shop.session_id, "--json").json["steps"] if row["tool"] == "delete"
    )
    assert shell("rollback", "--session", shop.session_id, "--step", ordinal, "--yes").code == 0
    assert statuses(conn) == {"new": 89, "refunded": 1, "closed": 10}
    assert shell("rollback", "--session", shop.session_id, "--step", 99, "--yes").code == 2


def test_all_sessions_of_an_agent(shell: Shell, conn: psycopg.Connection, shop: Shop) -> None:  # noqa: ARG001  it did something
    with journal.open_session(conn, agent="bot") as second, second.step("note"):
        conn.execute("update orders set note = 'x' where id = 50")
    assert shell("rollback", "--agent", "bot", "--since", "1h", "--yes").code == 0
    assert statuses(conn) == {"new": 100}
    assert conn.execute("select count(*) from orders where note is not null").fetchone() == (0,)


def test_no_session_of_the_agent(shell: Shell) -> None:
    assert shell("rollback", "--agent", "nobody", "--since", "1h", "--yes").code == 4


def test_a_script_names_the_size_of_a_large_rollback(shell: Shell, shop: Shop, conn: psycopg.Connection) -> None:
    before = statuses(conn)
    done = shell("rollback", "--session", shop.session_id, "--yes", "--max-rows", 12)
    assert done.code == 2
    assert "13 rows, more than 12" in done.err
    assert statuses(conn) == before
    assert shell("rollback", "--session", shop.session_id, "--yes", "--max-rows", 13).code == 0


def test_sql_prints_the_call_and_changes_nothing(shell: Shell, shop: Shop, conn: psycopg.Connection) -> None:
    before = statuses(conn)
    done = shell("rollback", "--session", shop.session_id, "--sql", "--on-conflict", "skip", "--reason", "it's wrong")
    assert done.code == 0
    assert f"session_ids => '{{{shop.session_id}}}'" in done.out
    assert statuses(conn) == before
    journal.stop_session(conn, shop.session_id, "by hand")
    conn.execute(done.out.encode())
    assert statuses(conn) == {"new": 100}


def test_a_session_that_is_still_open_is_stopped(shell: Shell, conn: psycopg.Connection, orders: None) -> None:  # noqa: ARG001
    session = journal.open_session(conn, agent="bot")
    with session.step("close"):
        conn.execute("update orders set status = 'closed'")
    done = shell("rollback", "--session", session.id, "--yes")
    assert done.code == 0
    assert f"session {session.id} is stopped for good" in done.err
    with pytest.raises(journal.SessionStopped), session.step("again"):
        pass


def test_a_row_that_others_hold_is_waited_for_and_no_longer(
    shell: Shell, dsn: str, shop: Shop, conn: psycopg.Connection
) -> None:
    before = statuses(conn)
    with psycopg.connect(dsn) as other:
        other.execute("update orders set note = 'mine' where id = 95")
        pid = other.info.backend_pid
        done = shell("rollback", "--session", shop.session_id, "--yes", "--wait", "300ms", "--json")
    assert (done.code, done.json["error"]["code"], done.json["error"]["retryable"]) == (6, "JR037", True)
    assert f"writing to these tables now: process {pid} of " in done.json["error"]["hint"]
    assert statuses(conn) == before
    assert shell("rollback", "--session", shop.session_id, "--yes").code == 0
