"""`migrate`, `cover`, `doctor`, `stop`: what a database needs, and what is wrong with it."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

import journal
from journal.cli import covering
from tests import rig
from tests.journal.cli.conftest import Shell, Shop, run


def test_migrate_brings_a_database_to_the_present_and_repeats_harmlessly(empty_dsn: str) -> None:
    assert run(empty_dsn, "migrate", "--check").code == 1
    assert run(empty_dsn, "migrate", "--json").json["outcome"] == "done"
    assert run(empty_dsn, "migrate", "--check").code == 0
    assert run(empty_dsn, "migrate", "--json").json["outcome"] == "nothing"


def test_migrate_prints_its_sql_and_the_part_for_a_dba() -> None:
    nowhere = "postgresql://someone@127.0.0.1:1/db"
    assert "create schema if not exists journal" in run(nowhere, "migrate", "--sql").out
    assert 'grant journal_owner to "someone"' in run(nowhere, "migrate", "--roles-sql").out


def test_migrate_knows_its_revisions(dsn: str) -> None:
    done = run(dsn, "migrate", "--to", "4711")
    assert done.code == 1
    assert "there is no schema revision 4711" in done.err


def test_a_schema_is_covered_table_by_table(shell: Shell, conn: psycopg.Connection) -> None:
    conn.execute(
        "create table a (id int primary key); create table b (id int primary key); create table keyless (n int)"
    )
    done = shell("cover", "--schema", "public", "--json")
    assert (done.code, done.json["outcome"]) == (5, "partly")
    assert {table["table"]: table["status"] for table in done.json["tables"]} == {
        "a": "covered",
        "b": "covered",
        "keyless": "refused",
    }
    assert "[3/3] keyless: refused: it has no primary key" in done.err
    statuses = {row["table_name"]: row["status"] for row in shell("coverage", "--json").lines}
    assert statuses == {"public.a": "covered", "public.b": "covered", "public.keyless": "uncovered"}
    assert shell("cover", "keyless", "--audit-only").code == 0


def test_options_of_cover_arrive(shell: Shell, conn: psycopg.Connection) -> None:
    conn.execute("create table t (id int primary key, secret text, hits int, touched timestamptz)")
    words = ("--agents-only", "--strict", "--exclude", "secret", "--maintained", "touched", "--truncate", "refuse")
    assert shell("cover", "t", *words).code == 0
    conn.execute("alter table t add column more int")
    (fix,) = [row["fix"] for row in shell("coverage", "--json").lines]
    assert fix.split() == ["journal", "cover", "public.t", *words]
    assert shell(*fix.split()[1:]).code == 0
    row = shell("coverage", "--json").lines[0]
    assert (row["writers"], row["excluded_columns"], row["maintained_columns"], row["truncate"]) == (
        *("agents", ["secret"], ["touched"]),
        "refuse",
    )


def test_an_empty_schema_is_nothing_to_do(shell: Shell, conn: psycopg.Connection) -> None:
    conn.execute("create schema empty")
    assert shell("cover", "--schema", "empty").code == 4
    assert shell("cover", "--schema", "nonsense").code == 2


def test_a_table_in_use_is_tried_again_until_it_is_free(
    shell: Shell, dsn: str, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(covering, "_ATTEMPTS", 2)
    monkeypatch.setattr(covering, "_LOCK_TIMEOUT", "50ms")
    conn.execute("create table t (id int primary key)")
    with psycopg.connect(dsn) as writer:
        writer.execute("insert into t values (1)")
        done = shell("cover", "t", "--json")
    assert done.code == 3
    assert done.json["tables"][0]["retryable"]
    assert shell("cover", "t").code == 0


@pytest.mark.usefixtures("orders")
def test_uncover_keeps_what_was_recorded(shell: Shell) -> None:
    assert shell("uncover", "orders").code == 0
    assert shell("coverage", "--json").lines[0]["status"] == "uncovered"
    assert shell("uncover", "nonsense").code == 3


@pytest.mark.usefixtures("orders")
def test_doctor_finds_and_mends_a_gap(shell: Shell, conn: psycopg.Connection) -> None:
    assert shell("doctor", "--check").code == 0
    conn.execute("alter table orders disable trigger all")
    conn.execute("alter table orders enable trigger all")
    done = shell("doctor", "--check", "--json")
    assert (done.code, done.json["healthy"]) == (1, False)
    assert [finding["fix"] for finding in done.json["findings"] if finding["level"] == "error"] == [
        "journal cover public.orders"
    ]
    assert shell("doctor", "--fix").code == 0
    assert shell("doctor", "--check").code == 0


@pytest.mark.usefixtures("orders")
def test_doctor_finds_cascades_that_leave_the_covered_tables(shell: Shell, conn: psycopg.Connection) -> None:
    conn.execute("create table lines (id int primary key, order_id int references orders on delete cascade)")
    findings = shell("doctor", "--json").json["findings"]
    assert any("reaches lines, which is not covered" in finding["what"] for finding in findings)


def test_doctor_names_who_has_the_owners_rights(shell: Shell, postgres: rig.Cluster) -> None:
    """Whoever migrated keeps them: it reads every image, and can change what is recorded."""
    name = postgres.create_role()
    postgres.admin.execute(f"grant journal_owner to {name}".encode())
    notes = [finding["what"] for finding in shell("doctor", "--json").json["findings"] if finding["level"] == "note"]
    assert [name in note for note in notes if "may change what is recorded" in note] == [True]


def test_doctor_finds_publications_of_the_journal(shell: Shell, superuser_dsn: str) -> None:
    with psycopg.connect(superuser_dsn, autocommit=True) as conn:
        conn.execute("create publication everything for all tables")
    assert any("publication everything" in finding["what"] for finding in shell("doctor", "--json").json["findings"])


@pytest.mark.usefixtures("orders")
def test_doctor_finds_covered_tables_that_are_subscribed(
    postgres: rig.Cluster, shell: Shell, superuser_dsn: str
) -> None:
    """[8] Statement triggers do not fire for rows that logical replication applies."""
    with postgres.database() as source:
        with psycopg.connect(postgres.superuser_dsn(source), autocommit=True) as publisher:
            publisher.execute("create table orders (id int primary key); create publication orders for table orders")
        with psycopg.connect(superuser_dsn, autocommit=True) as conn:
            subscribe = """create subscription orders connection {} publication orders
                           with (enabled = false, create_slot = false, slot_name = none)"""
            conn.execute(sql.SQL(subscribe).format(postgres.superuser_dsn(source)))
            found = [f["what"] for f in shell("doctor", "--json").json["findings"]]
            conn.execute("drop subscription orders")
    assert "public.orders: rows that a subscription applies are not recorded" in found


def test_doctor_is_a_readiness_probe(shell: Shell, empty_dsn: str) -> None:
    assert shell("doctor", "--ready").code == 0
    assert run(empty_dsn, "doctor", "--ready").code == 1
    assert run(empty_dsn, "doctor", "--check", "--json").json["findings"][0]["fix"] == "journal migrate"


@pytest.mark.usefixtures("shop")
def test_prune_begins_segments_and_drops_old_ones(shell: Shell, superuser_dsn: str) -> None:
    assert shell("prune").code == 0
    with psycopg.connect(superuser_dsn) as conn:
        conn.execute("update journal.segment set from_at = from_at - interval '2 days'")
    assert [row["table_name"] for row in shell("prune", "--json").lines] == ["public.orders"]
    assert shell("prune", "--keep", "soon").code == 2


def test_a_stopped_agent_opens_no_session_until_it_is_resumed(shell: Shell, conn: psycopg.Connection) -> None:
    assert shell("stop", "--agent", "bot", "--reason", "runs wild").code == 0
    with pytest.raises(journal.SessionStopped):
        journal.open_session(conn, agent="bot")
    assert shell("resume", "--agent", "bot").code == 0
    assert shell("resume", "--agent", "bot").code == 4
    journal.open_session(conn, agent="bot")


def test_a_stopped_session_steps_no_more(shell: Shell, conn: psycopg.Connection) -> None:
    session = journal.open_session(conn, agent="bot")
    done = shell("stop", "--session", str(session.id)[-8:], "--reason", "runs wild", "--json")
    assert done.json["session_id"] == str(session.id)
    with pytest.raises(journal.SessionStopped), session.step("again"):
        pass
    assert shell("sessions", "--json").lines[0]["status"] == "stopped"


def test_stopping_twice_is_no_failure(shell: Shell, shop: Shop) -> None:
    for _ in range(2):
        assert shell("stop", "--session", shop.session_id, "--reason", "x").code == 0


def test_covering_again_keeps_the_options_that_a_table_has(shell: Shell, conn: psycopg.Connection) -> None:
    conn.execute("create table secrets (id int primary key, token text)")
    assert shell("cover", "secrets", "--exclude", "token").code == 0
    for command in (["cover", "secrets"], ["cover", "--schema", "public"], ["doctor", "--fix"]):
        shell(*command)
        row = conn.execute(
            "select excluded_columns from journal.coverage where table_name = 'public.secrets'"
        ).fetchone()
        assert row == (["token"],), command
