"""What publish refuses, what it stores, and what its order means."""

from __future__ import annotations

import hashlib
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest

from outbox.errors import InvalidTopic, MessageTooLarge, NotSerializable, OutboxError
from outbox.pg.errors import from_database
from tests.outbox.support import column, open_session, publish, publish_in, scalar, seal, sealed, status

if TYPE_CHECKING:
    from tests.outbox.support import Connection


@pytest.mark.parametrize(
    ("named", "error"),
    [
        ({"topic": ""}, InvalidTopic),
        ({"topic": "x" * 256}, InvalidTopic),
        ({"topic": "line\nbreak"}, InvalidTopic),
        ({"type": ""}, InvalidTopic),
        ({"key": "x" * 1025}, MessageTooLarge),
        ({"key": ""}, OutboxError),
        ({"headers": {"trace": ["a"]}}, NotSerializable),
        ({"headers": {"trace": "a\r\nNats-Rollup: all"}}, NotSerializable),
        ({"headers": {"Nats-Rollup": "all"}}, NotSerializable),
        ({"headers": {"ce-id": "another"}}, NotSerializable),
        ({"hold": "close"}, OutboxError),
        ({"hold": "approve"}, OutboxError),
        ({"hold": "soon"}, OutboxError),
        ({"hold": "-5s"}, OutboxError),
    ],
)
def test_publish_refuses_what_cannot_travel(conn: Connection, named: dict[str, Any], error: type[OutboxError]) -> None:
    with pytest.raises(psycopg.DatabaseError) as raised:
        publish(conn, **named)
    fault = from_database(raised.value)
    assert type(fault) is error
    assert fault.hint
    assert column(conn, "select message_id from outbox.messages") == []


def test_a_message_larger_than_a_registered_destination_takes_is_refused_at_the_source(conn: Connection) -> None:
    conn.execute("select relay.register('nats:EVENTS', 'nats://broker/EVENTS', 'A', 100000, array['orders.*'])")
    publish(conn, "invoices", data="x" * 200_000)
    publish(conn, "orders.made", data="x" * 90_000)
    with pytest.raises(psycopg.DatabaseError) as raised:
        publish(conn, "orders.made", data="x" * 100_000)
    assert isinstance(from_database(raised.value), MessageTooLarge)


def test_a_message_is_stored_as_it_was_published(conn: Connection) -> None:
    message_id = publish(
        conn, "refunds", "42", {"order": 42}, headers={"trace": "abc"}, type="refund.made", compensation={"order": 42}
    )
    row = conn.execute(
        "select topic, key, type, status, data, headers, session_id, hold, release_at from outbox.messages"
        " where message_id = %s",
        [message_id],
    ).fetchone()
    assert row == ("refunds", "42", "refund.made", "pending", {"order": 42}, {"trace": "abc"}, None, None, None)


def test_data_may_be_empty_or_null_and_the_type_is_the_topic(conn: Connection) -> None:
    conn.execute("select outbox.publish('a')")
    conn.execute("select outbox.publish('a', data => 'null')")
    assert conn.execute("select type, data is null from outbox.messages order by created_at").fetchall() == [
        ("a", True),
        ("a", False),
    ]


def test_ids_are_uuid7_and_rise(conn: Connection) -> None:
    ids = [publish(conn) for _ in range(50)]
    assert all(UUID(str(i)).version == 7 for i in ids)
    assert ids == sorted(ids)


@pytest.mark.parametrize("key", ["42", "a key", "schlüssel", "x" * 1024])
def test_the_slot_of_a_key_is_the_first_12_bits_of_its_sha256(conn: Connection, key: str) -> None:
    expected = int.from_bytes(hashlib.sha256(key.encode()).digest()[:2], "big") >> 4
    assert scalar(conn, "select outbox.slot_of(%s::text)", [key]) == expected


def test_a_message_published_in_a_bound_transaction_belongs_to_its_session(conn: Connection) -> None:
    session_id = open_session(conn)
    message_id = publish_in(conn, session_id)
    assert scalar(conn, "select session_id from outbox.messages where message_id = %s", [message_id]) == session_id


def test_a_session_hold_is_the_default_of_its_messages(conn: Connection) -> None:
    session_id = open_session(conn, hold="30s")
    held, free = publish_in(conn, session_id), publish_in(conn, session_id, hold="0s")
    seal(conn)
    assert (status(conn, held), status(conn, free)) == ("held", "sealed")


def test_a_hold_until_close_ends_after_an_hour_at_the_latest(conn: Connection) -> None:
    publish_in(conn, open_session(conn), hold="close")
    assert scalar(conn, "select release_at - created_at from outbox.messages") == timedelta(hours=1)


def test_a_rolled_back_transaction_publishes_nothing(conn: Connection) -> None:
    with conn.transaction(force_rollback=True):
        publish(conn)
    kept = publish(conn)
    seal(conn)
    assert sealed(conn) == [kept]


def test_update_returning_publishes_once_after_its_lock(dsn: str, conn: Connection) -> None:
    """Finding 2: a select list is evaluated before the wait for the lock and again after it; RETURNING is not."""
    conn.execute("create table account (id int primary key, n int)")
    conn.execute("insert into account values (42, 0)")
    statement = "update account set n = n + 1 where id = 42 returning outbox.publish('t', '42', to_jsonb(n))"
    with psycopg.connect(dsn) as first:
        first.execute(statement)
        second = threading.Thread(target=_execute, args=(dsn, statement))
        second.start()
        _wait_until_blocked(conn)
        first.commit()
        second.join()
    seal(conn)
    assert column(conn, "select data from outbox.messages order by message_id") == [1, 2]


def test_two_messages_of_a_key_keep_the_order_of_the_lock_on_it(dsn: str, conn: Connection) -> None:
    """Finding 3: whoever locks first publishes first, even if the other transaction is older and commits later."""
    conn.execute("create table account (id int primary key, n int)")
    conn.execute("insert into account values (42, 0)")
    with psycopg.connect(dsn) as older, psycopg.connect(dsn) as younger:
        older.execute("insert into account values (1, 0)")  # has a transaction id already
        younger.execute("select from account where id = 42 for update")
        first = publish(younger, key="42")
        younger.commit()
        older.execute("select from account where id = 42 for update")
        second = publish(older, key="42")
        older.commit()
    seal(conn)
    assert sealed(conn) == [first, second]


def _execute(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn) as conn:
        conn.execute(statement)


def _wait_until_blocked(conn: Connection) -> None:
    """Until some backend of this database waits for a lock."""
    query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    while not scalar(conn, query):
        pass
