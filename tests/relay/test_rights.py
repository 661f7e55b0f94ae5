"""Who may do what: agents publish, operators run relays, readers look, and nobody else does anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.outbox.support import publish, seal
from tests.relay.support import drain, in_file, make_counters, produce

if TYPE_CHECKING:
    from pathlib import Path

    from tests import rig
    from tests.relay.support import Connection

VIEWS = ("outbox.messages", "outbox.backlog", "relay.destinations", "relay.lag", "relay.parked", "relay.deliveries")


def member(postgres: rig.Cluster, database: str, group: str) -> str:
    """The URL of the database as a new role that is a member of one group."""
    role = postgres.create_role()
    postgres.admin.execute(f"grant {group} to {role}")
    return postgres.dsn(database, role=role)


def test_an_operator_runs_relays(postgres: rig.Cluster, database: str, conn: Connection, tmp_path: Path) -> None:
    make_counters(conn)
    produce(conn, 80)
    drain(member(postgres, database, "journal_operator"), f"file://{tmp_path}/out.jsonl")
    assert len(in_file(tmp_path / "out.jsonl")) == 80


@pytest.mark.parametrize("group", ["journal_operator", "journal_reader", "journal_auditor"])
def test_readers_see_every_view_with_everything_in_it(
    postgres: rig.Cluster, database: str, conn: Connection, group: str
) -> None:
    conn.execute("select relay.register('stdout:', 'stdout:', 'D', 1000000, array['t*'])")
    publish(conn)
    seal(conn)
    publish(conn)
    with psycopg.connect(member(postgres, database, group)) as reader:
        counts = {view: len(reader.execute(f"select * from {view}").fetchall()) for view in VIEWS}
    assert counts == dict(zip(VIEWS, (2, 1, 1, 1, 0, 1), strict=True))


def test_an_agent_publishes_and_no_more(postgres: rig.Cluster, database: str) -> None:
    with psycopg.connect(member(postgres, database, "journal_agent"), autocommit=True) as agent:
        publish(agent, "t", "k", {"a": 1}, hold="1h", compensation={"b": 1})
        for query in (
            "select outbox.seal()",
            "select * from outbox.messages",
            "select * from outbox.message",
            "select outbox.take_back('{}', null, gen_random_uuid())",
            "select outbox.add_message('t', null, null, '{}', 't', null, null)",
            "select relay.pause(null)",
            "update outbox.seal set no = 1",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                agent.execute(query)


def test_an_operator_keeps_what_was_delivered_for_an_hour_at_least(postgres: rig.Cluster, database: str) -> None:
    with psycopg.connect(member(postgres, database, "journal_operator"), autocommit=True) as operator:
        operator.execute("select relay.prune('1 hour')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="at the shortest"):
            operator.execute("select relay.prune('59 minutes')")


def test_every_view_and_every_column_has_a_comment(conn: Connection) -> None:
    rows = conn.execute(
        "select c.oid::regclass::text, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid"
        " where c.relkind = 'v' and c.relnamespace in ('outbox'::regnamespace, 'relay'::regnamespace) and a.attnum > 0"
        " and (col_description(c.oid, a.attnum) is null or obj_description(c.oid) is null)"
    )
    assert rows.fetchall() == []


CONTRACT = {
    "outbox.messages": "message_id topic key type status session_id step_id transaction_id created_at sealed_at release_at hold"
    " cancelled_by compensates caused_by data headers bytes",
    "outbox.backlog": "topic status messages bytes oldest_at age",
    "relay.destinations": "destination url guarantee topics lanes status status_reason lineage created_at last_append_at"
    " last_error_at last_error",
    "relay.lag": "destination lane position sealed_position behind oldest_at lag leaseholder lease_until epoch in_doubt parked",
    "relay.parked": "destination lane message_id topic key waiting attempts error first_failed_at last_failed_at disposition",
    "relay.deliveries": "message_id destination lane position status sealed_at delivered_at",
}


@pytest.mark.parametrize("view", CONTRACT)
def test_views_have_the_columns_of_the_contract(conn: Connection, view: str) -> None:
    cursor = conn.execute(f"select * from {view}")
    assert [column.name for column in cursor.description or ()] == CONTRACT[view].split()
