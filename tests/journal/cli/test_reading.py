"""The commands that look: lists with the view's columns, and the document of a session."""

from __future__ import annotations

import psycopg
import pytest

from journal.cli.queries import claims, coverage, external, receipts, residue, sessions
from journal.cli.queries.show import STEP_COLUMNS
from tests.journal.cli.conftest import Shell, Shop


@pytest.mark.parametrize(
    ("view", "columns"),
    [
        (sessions.VIEW, sessions.COLUMNS),
        ("journal.steps", STEP_COLUMNS),
        (coverage.VIEW, coverage.COLUMNS),
        (receipts.VIEW, receipts.COLUMNS),
        (claims.VIEW, claims.COLUMNS),
        (external.VIEW, external.COLUMNS),
        (residue.VIEW, residue.COLUMNS),
    ],
)
def test_a_list_has_the_columns_of_its_view(conn: psycopg.Connection, view: str, columns: tuple[str, ...]) -> None:
    query = (
        "select array_agg(attname::text order by attnum) from pg_attribute where attrelid = %s::regclass and attnum > 0"
    )
    assert conn.execute(query, [view]).fetchone() == (list(columns),)


@pytest.mark.parametrize("command", ["sessions", "coverage", "receipts", "claims", "external", "residue"])
def test_an_empty_list_is_no_failure(shell: Shell, command: str) -> None:
    assert (shell(command, "--json").code, shell(command, "--json").out) == (0, "")
    done = shell(command)
    assert (done.code, done.out) == (0, "")
    assert done.err


def test_sessions_are_listed_newest_first(shell: Shell, shop: Shop) -> None:
    shell("rollback", "--session", shop.session_id, "--yes")
    found = shell("sessions", "--json").lines
    assert [row["kind"] for row in found] == ["rollback", "agent"]
    assert found[1]["session_id"] == str(shop.session_id)
    assert found[1]["opened_at"].endswith("Z")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--agent", "bot"], 1),
        (["--agent", "other"], 0),
        (["--table", "orders"], 1),
        (["--table", "public.orders"], 1),
        (["--since", "1h"], 1),
        (["--until", "1h"], 0),
        (["--open"], 0),
        (["--limit", "1"], 1),
    ],
)
@pytest.mark.usefixtures("shop")
def test_sessions_are_filtered(shell: Shell, words: list[str], expected: int) -> None:
    assert len(shell("sessions", *words, "--json").lines) == expected


def test_ids_may_be_shortened_to_their_end(shell: Shell, shop: Shop) -> None:
    done = shell("show", str(shop.session_id)[-8:], "--json")
    assert done.json["session"]["session_id"] == str(shop.session_id)


def test_show_has_everything_about_a_session(shell: Shell, shop: Shop) -> None:
    document = shell("show", shop.session_id, "--json").json
    assert document["schema"] == "journal.show/1"
    assert document["totals"] == {"steps": 3, "replays": 1, "failed": 0, "rows": None, "changes": 13, "messages": 1}
    refund, replay, close, delete = document["steps"]
    assert refund["tables"] == [{"table": "public.orders", "insert": 0, "update": 1, "delete": 0, "truncate": 0}]
    assert [message["topic"] for message in refund["messages"]] == ["refunds"]
    assert refund["receipt"]["status"] == "committed"
    assert replay["status"] == "replayed"
    assert close["tables"][0]["update"] == 10
    assert delete["tables"][0]["delete"] == 2
    assert document["undo"]["status"] is None


@pytest.mark.usefixtures("conflict")
def test_show_with_a_plan_says_what_could_be_undone(shell: Shell, shop: Shop) -> None:
    undo = shell("show", shop.session_id, "--plan", "--json").json["undo"]
    assert (undo["status"], undo["rows"], undo["conflicts"]) == ("partly", 12, 1)


def test_show_for_a_person(shell: Shell, shop: Shop) -> None:
    out = shell("show", shop.session_id).out
    assert "bot: ticket 8123" in out
    assert "3 steps, 1 replay, 13 changes, 1 message" in out
    assert "public.orders: 2 deleted" in out


def test_changes_are_listed_row_by_row(shell: Shell, shop: Shop) -> None:
    found = shell("changes", shop.session_id, "--json").lines
    assert len(found) == 13
    assert found[0]["before"] == {"id": "42", "status": "new", "note": None}
    assert found[0]["after"] == {"id": "42", "status": "refunded", "note": None}
    assert found[0]["changed_columns"] == ["status"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--table", "orders"], 13),
        (["--table", "orders", "--key", "42"], 1),
        (["--table", "orders", "--key", "id=42"], 1),
        (["--step", "1"], 1),
    ],
)
def test_changes_are_filtered(shell: Shell, shop: Shop, words: list[str], expected: int) -> None:
    assert len(shell("changes", shop.session_id, *words, "--json").lines) == expected


def test_changes_for_a_person(shell: Shell, shop: Shop) -> None:
    assert "UPDATE public.orders id=42" in shell("changes", shop.session_id).out
    assert "    status: new → refunded" in shell("changes", shop.session_id).out
    assert "id=42  by step 1 refund\n" in shell("changes", shop.session_id).out


def test_a_list_that_nobody_reads_to_its_end_begins_with_its_length(
    shell: Shell, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("journal.cli.commands.changes._MANY", 12)
    assert shell("changes", shop.session_id).err.startswith("13 changes: `journal show` sums them up")
    assert shell("changes", shop.session_id, "--table", "orders").err == ""


def test_a_rollback_is_told_from_what_agents_did(shell: Shell, shop: Shop) -> None:
    done = shell("rollback", "--session", shop.session_id, "--yes", "--json").json["rollback_id"]
    assert " (rollback)  -" in shell("sessions").out
    page = shell("show", done).out
    assert f"Rollback {done}" in page
    assert f"it took back session {shop.session_id} of bot: ticket 8123" in page
    assert f" in rollback {done}" in shell("history", "orders", "95").out


@pytest.mark.usefixtures("conflict")
def test_history_names_who(shell: Shell, shop: Shop) -> None:
    out = shell("history", "orders", "95").out
    assert f"by bot in session {shop.session_id}" in out
    assert "status: closed → disputed" in out


def test_history_of_a_key_of_several_columns(shell: Shell, conn: psycopg.Connection) -> None:
    conn.execute("create table items (order_id int, line int, quantity int, primary key (order_id, line))")
    shell("cover", "items")
    conn.execute("insert into items values (42, 7, 1)")
    assert len(shell("history", "items", "order_id=42", "line=7", "--json").lines) == 1
    assert shell("history", "items", "42").code == 2
    assert shell("history", "items", "order_id=42", "line=first").code == 2


@pytest.mark.usefixtures("conflict")
def test_residue_is_listed_and_ticked_off(shell: Shell, shop: Shop) -> None:
    report = shell("rollback", "--session", shop.session_id, "--on-conflict", "skip", "--yes", "--json").json
    left = shell("residue", report["rollback_id"], "--open", "--json").lines
    assert [(row["kind"], row["key"], row["theirs"]) for row in left] == [("row", {"id": "95"}, "disputed")]
    assert shell("residue", "resolve", left[0]["residue_id"], "--note", "refunded by hand").code == 0
    assert shell("residue", "--open", "--json").lines == []
    assert shell("residue", "--json").lines[0]["note"] == "refunded by hand"
    assert shell("residue", "resolve", left[0]["residue_id"], "--note", "again").code == 4
    assert shell("residue", "resolve", left[0]["residue_id"]).code == 2


def test_receipts_of_a_session(shell: Shell, shop: Shop) -> None:
    found = shell("receipts", shop.session_id, "--json").lines
    assert [row["tool"] for row in found] == ["refund", "close", "delete"]
    assert {row["status"] for row in found} == {"committed"}


@pytest.mark.usefixtures("orders")
def test_control_characters_of_a_row_do_not_reach_the_terminal(shell: Shell, conn: psycopg.Connection) -> None:
    conn.execute(r"update orders set note = E'\x1b[2Jgone' where id = 50")
    assert r"\x1b[2Jgone" in shell("history", "orders", "50").out
    assert "\x1b" not in shell("history", "orders", "50").out
