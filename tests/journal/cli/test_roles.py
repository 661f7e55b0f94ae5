"""The shell in the hands of those who are not the owner: readers look, operators roll back with their own rights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql

from journal.doctor import examine
from tests import rig
from tests.journal.cli.conftest import Shell, Shop, run

Somebody = Callable[[str], Shell]


@pytest.fixture
def somebody(postgres: rig.Cluster, database: str) -> Somebody:
    """The shell of a new role that is a member of a group."""

    def shell_of(group: str) -> Shell:
        name = postgres.create_role()
        postgres.admin.execute(sql.SQL("grant {} to {}").format(sql.Identifier(group), sql.Identifier(name)))
        return lambda *words: run(postgres.dsn(database, role=name), *words)

    return shell_of


def test_a_reader_looks_but_changes_nothing(somebody: Somebody, shop: Shop) -> None:
    reader = somebody("journal_reader")
    for name in ("sessions", "coverage", "receipts", "claims", "external", "residue", "doctor"):
        assert reader(name).code == 0, name
    assert reader("show", shop.session_id).code == 0
    for words in (["rollback", "--session", shop.session_id, "--yes"], ["stop", "--agent", "bot", "--reason", "x"]):
        done = reader(*words)
        assert done.code == 1, words
        assert "permission denied" in done.err


@pytest.mark.usefixtures("shop")
def test_who_may_not_cover_is_told_what_it_takes(somebody: Somebody) -> None:
    for group in ("journal_reader", "journal_operator"):
        assert "the owner of the table, as a member of journal_operator" in somebody(group)("cover", "orders").out


def test_a_reader_sees_the_values_of_tables_that_it_may_read(
    somebody: Somebody, shop: Shop, conn: psycopg.Connection
) -> None:
    reader = somebody("journal_reader")
    assert {
        row["before"] is None or row["before"] == {} for row in reader("changes", shop.session_id, "--json").lines
    } == {True}
    conn.execute("grant select on orders to public")
    assert reader("changes", shop.session_id, "--json").lines[0]["before"]["status"] == "new"


def test_an_operator_rolls_back_with_the_rights_it_has(
    somebody: Somebody, shop: Shop, conn: psycopg.Connection
) -> None:
    operator = somebody("journal_operator")
    blind = operator("rollback", "--session", shop.session_id, "--yes")
    assert blind.code == 3, blind
    assert "may not read" in blind.err
    conn.execute("grant select, insert, delete on orders to public")
    refused = operator("rollback", "--session", shop.session_id, "--yes")
    assert refused.code == 3, refused
    assert "you may not write it" in refused.out
    conn.execute("grant update on orders to public")
    done = operator("rollback", "--session", shop.session_id, "--yes")
    assert done.code == 0, done
    assert conn.execute("select count(*) from orders where status = 'new'").fetchone() == (100,)


@pytest.mark.usefixtures("shop")
def test_doctor_names_what_an_agent_role_could_get_around(postgres: rig.Cluster, superuser_dsn: str) -> None:
    bot = postgres.create_role()
    with psycopg.connect(superuser_dsn, autocommit=True) as admin:
        owner = _one(admin, "select nspowner::regrole::text from pg_namespace where nspname = 'journal'")
        with pytest.raises(psycopg.errors.UndefinedObject):
            admin.execute("select journal.add_agent_role('nobody at all')")
        assert _one(admin, f"select journal.add_agent_role('{bot}')")
        assert not _one(admin, f"select journal.add_agent_role('{bot}')")
        healthy = {finding.what for finding in examine(admin)}
        assert not any(bot in what and "temporary" not in what for what in healthy)
        admin.execute(f"grant trigger on orders to {bot}; grant journal_operator, {owner} to {bot}".encode())
        found = [finding for finding in examine(admin) if finding.what.startswith(f"agent role {bot} ")]
        assert {finding.fix for finding in found if finding.what not in healthy} == {
            f"revoke journal_operator from {bot}",
            f"revoke {owner} from {bot}",
            f"revoke trigger on … from {bot}",
        }
        assert _one(admin, f"select journal.remove_agent_role('{bot}')")
        assert not any(bot in finding.what and "agent role" in finding.what for finding in examine(admin))
        admin.execute(f"revoke {owner} from {bot}".encode())


def _one(conn: psycopg.Connection, query: str) -> Any:
    (row,) = conn.execute(query.encode()).fetchall()
    return row[0]
