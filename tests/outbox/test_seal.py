"""Sealing: each finding of the evidence on seal and order (A) and on what a seal stores (B) is a test here."""

from __future__ import annotations

import psycopg
import pytest

from journal.migrate import migrate
from outbox.pg.errors import sqlstate_of
from tests import rig
from tests.outbox.support import Connection, column, publish, scalar, seal, sealed, status


def test_what_is_committed_is_sealed_once_in_the_order_of_ids(conn: Connection) -> None:
    first = [publish(conn) for _ in range(3)]
    assert seal(conn) == 1
    second = [publish(conn) for _ in range(2)]
    assert seal(conn) == 2
    assert sealed(conn) == first + second


def test_a_poll_with_nothing_to_seal_writes_nothing(conn: Connection) -> None:
    publish(conn)
    assert [seal(conn), seal(conn)] == [1, None]  # a first poll may still tidy up pages of the catalog
    before = scalar(conn, "select pg_current_wal_insert_lsn()")
    with conn.transaction():
        assert seal(conn) is None
        assert scalar(conn, "select pg_current_xact_id_if_assigned()") is None
    assert scalar(conn, "select pg_current_wal_insert_lsn()") == before
    assert scalar(conn, "select count(*) from outbox.seal") == 2


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_finding_1_a_sealer_with_an_old_snapshot_is_refused(conn: Connection, isolation: str) -> None:
    conn.execute(f"set default_transaction_isolation = '{isolation}'")
    with pytest.raises(psycopg.DatabaseError) as raised:
        seal(conn)
    assert sqlstate_of(raised.value) == "OX000"


def test_finding_1_a_stale_seal_collides_with_its_number(conn: Connection) -> None:
    publish(conn)
    seal(conn)
    with pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute("insert into outbox.seal (no, lineage, snap) select 1, 1, pg_current_snapshot()")


def test_finding_1_seal_is_refused_in_a_transaction_that_wrote(dsn: str) -> None:
    """Left open, it would stop sealing for all."""
    with psycopg.connect(dsn) as open_transaction:
        publish(open_transaction)
        with pytest.raises(psycopg.DatabaseError, match="has written already"):
            seal(open_transaction)


def test_a_second_sealer_leaves_the_work_to_the_first(dsn: str, conn: Connection) -> None:
    message_id = publish(conn)
    with psycopg.connect(dsn) as sealing:
        assert seal(sealing) == 1
        assert seal(conn) is None
        assert status(conn, message_id) == "pending"
    assert sealed(conn) == [message_id]


def test_a_sealer_that_waits_seals_what_was_committed_before_its_call(dsn: str, conn: Connection) -> None:
    publish(conn)
    with psycopg.connect(dsn) as sealing:
        assert seal(sealing) == 1
        late = publish(conn)
        conn.execute("set lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            conn.execute("select outbox.seal(wait => true)")
    assert scalar(conn, "select outbox.seal(wait => true)") == 2
    assert sealed(conn)[-1] == late


def test_finding_4_a_seal_survives_a_crash_though_commits_do_not_wait(conn: Connection) -> None:
    publish(conn)
    conn.execute("set synchronous_commit = off")
    with conn.transaction():
        seal(conn)
        assert scalar(conn, "show synchronous_commit") == "on"
    assert scalar(conn, "show synchronous_commit") == "off"


def test_finding_4_a_stronger_setting_is_kept(conn: Connection) -> None:
    publish(conn)
    conn.execute("set synchronous_commit = remote_apply")
    with conn.transaction():
        seal(conn)
        assert scalar(conn, "show synchronous_commit") == "remote_apply"


def test_finding_5_a_straggler_is_sealed_though_the_sequence_did_not_move(dsn: str, conn: Connection) -> None:
    with psycopg.connect(dsn) as slow:
        straggler = publish(slow)
        early = publish(conn)
        seal(conn)
        assert sealed(conn) == [early]
        slow.commit()
    assert seal(conn) == 2
    assert sealed(conn) == [early, straggler]


def test_commits_in_reverse_order_of_ids_lose_nothing(dsn: str, conn: Connection) -> None:
    others = [psycopg.connect(dsn) for _ in range(5)]
    ids = [publish(other) for other in others]
    for other in reversed(others):
        other.commit()
        other.close()
        assert seal(conn) is not None
    assert sealed(conn) == ids[::-1]


def test_finding_6_the_difference_of_two_snapshots_is_read_by_index_below_an_old_one(
    dsn: str, conn: Connection
) -> None:
    """However many messages were committed above the oldest open transaction, only the new ones are read."""
    with psycopg.connect(dsn) as old:
        old.execute("select pg_current_xact_id()")
        conn.execute("select outbox.publish('t') from generate_series(1, 2000)")
        seal(conn)
        conn.execute("select outbox.publish('t') from generate_series(1, 10)")
        conn.execute("set enable_seqscan = off")
        conn.execute("set plan_cache_mode = force_generic_plan")  # as in the functions of the seal
        conn.execute(
            "prepare difference(pg_snapshot) as select from outbox.visible_between($1, pg_current_snapshot(), 0)"
        )
        last = scalar(conn, "select snap::text from outbox.seal order by no desc limit 1")
        for statistics in ("vacuum", "vacuum analyze"):
            conn.execute(f"{statistics} outbox.message")  # both make the plan anew
            plan = "\n".join(
                column(
                    conn,
                    f"explain (analyze, timing off, costs off, summary off, buffers off) execute difference('{last}')",
                )
            )
            assert "Seq Scan on message" not in plan
            assert "pkey on message" not in plan, plan
            assert "2000" not in plan


def test_finding_8_a_message_of_a_savepoint_waits_for_its_transaction(dsn: str, conn: Connection) -> None:
    with psycopg.connect(dsn) as other:
        other.execute("select pg_current_xact_id()")
        with other.transaction():
            inner = publish(other)
        publish(conn)
        seal(conn)
        assert inner not in sealed(conn)
        other.commit()
    seal(conn)
    assert sealed(conn)[-1] == inner


def test_a_rolled_back_savepoint_leaves_no_message_and_no_gap(dsn: str, conn: Connection) -> None:
    with psycopg.connect(dsn) as other:
        first = publish(other)
        with other.transaction(force_rollback=True):
            publish(other)
        last = publish(other)
    seal(conn)
    assert sealed(conn) == [first, last]


def test_finding_8_a_prepared_transaction_is_sealed_when_it_is_committed() -> None:
    with rig.start_server(max_prepared_transactions=2) as server, psycopg.connect(server.dsn(), autocommit=True) as own:
        migrate(server.dsn())
        own.execute("begin")
        prepared = publish(own)
        own.execute("prepare transaction 'later'")
        other = publish(own)
        seal(own)
        assert sealed(own) == [other]
        own.execute("commit prepared 'later'")
        seal(own)
        assert sealed(own) == [other, prepared]


def test_finding_11_a_deleted_message_is_noticed_at_every_read(conn: Connection) -> None:
    conn.execute("select relay.register('stdout:', 'stdout:', 'D', 1000000)")
    publish(conn)
    publish(conn)
    seal(conn)
    read = "select count(*) from relay.read_seals('stdout:', '{0}', 1, 1)"
    assert scalar(conn, read) == 2
    conn.execute("delete from outbox.message where id = 1")
    with pytest.raises(psycopg.DatabaseError, match="seal 1 names 2 messages, 1 are there") as raised:
        conn.execute(read)
    assert sqlstate_of(raised.value) == "RL004"


def test_finding_36_a_sequence_that_went_back_stops_sealing(conn: Connection) -> None:
    publish(conn)
    publish(conn)
    seal(conn)
    conn.execute("alter sequence outbox.message_id restart with 1")
    conn.execute("delete from outbox.message")
    publish(conn)
    with pytest.raises(psycopg.DatabaseError) as raised:
        seal(conn)
    assert sqlstate_of(raised.value) == "RL004"
    assert "relay rebase" in (raised.value.diag.message_hint or "")


def test_finding_36_transaction_ids_that_went_back_stop_sealing(conn: Connection) -> None:
    publish(conn)
    seal(conn)
    conn.execute("update outbox.seal set snap = '9000000:9000000:' where no = 1")  # as after a restore elsewhere
    conn.execute("insert into outbox.cancellation (id, rollback_id) values (-1, gen_random_uuid())")
    with pytest.raises(psycopg.DatabaseError) as raised:
        conn.execute("select outbox.check_not_rewound(snap, pg_current_snapshot(), 0) from outbox.seal where no = 1")
    assert sqlstate_of(raised.value) == "RL004"


def test_finding_37_a_copy_of_the_database_does_not_seal(postgres: rig.Cluster, dsn: str, database: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as original:
        publish(original)
        seal(original)
    with postgres.database(template=database) as copy, psycopg.connect(postgres.dsn(copy), autocommit=True) as conn:
        publish(conn)
        with pytest.raises(psycopg.DatabaseError, match="copy") as raised:
            seal(conn)
        assert sqlstate_of(raised.value) == "RL004"
    with psycopg.connect(dsn, autocommit=True) as original:
        publish(original)
        assert seal(original) == 2


def test_an_empty_database_may_be_cloned_before_its_first_seal(
    postgres: rig.Cluster, conn: Connection, database: str
) -> None:
    conn.close()
    with postgres.database(template=database) as copy, psycopg.connect(postgres.dsn(copy), autocommit=True) as clone:
        publish(clone)
        assert seal(clone) == 1


def test_many_messages_of_one_transaction_are_one_seal(conn: Connection) -> None:
    conn.execute("select outbox.publish('t', (n % 100)::text, to_jsonb(n)) from generate_series(1, 20000) as n")
    seal(conn)
    assert conn.execute("select members, total from outbox.seal where no = 1").fetchone() == (20000, 20000)
    assert column(conn, "select data from outbox.members(1, 1) order by seal, id") == list(range(1, 20001))


def test_the_backlog_shows_what_is_not_sealed(conn: Connection) -> None:
    publish(conn, "orders")
    publish(conn, "orders")
    publish(conn, "refunds", hold="1h")
    rows = "select topic, status, messages from outbox.backlog order by topic"
    assert conn.execute(rows).fetchall() == [("orders", "pending", 2), ("refunds", "held", 1)]
    seal(conn)
    assert conn.execute(rows).fetchall() == [("refunds", "held", 1)]
