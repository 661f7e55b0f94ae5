"""A database that was restored or copied, and destinations that hold more, or less, than it knows of (evidence, section G)."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import psycopg

from journal.migrate import migrate
from tests import rig
from tests.outbox.support import column, publish, scalar, seal
from tests.relay.oracle import judge
from tests.relay.support import (
    Connection,
    RelayProcess,
    committed,
    drain,
    in_file,
    in_stream,
    make_counters,
    produce,
    relay,
    wait_until,
)

if TYPE_CHECKING:
    from pathlib import Path

    from journal.embedded import NatsServer, PostgresServer
    from tests.relay.places import Place


def as_in_smaller_transaction_ids(conn: Connection) -> None:
    """What a dump that is restored into a younger cluster looks like: all that is stored tells of transactions to come."""
    conn.execute("update outbox.message set xid = (xid::text::bigint + 1000000)::text::xid8")
    conn.execute(
        "update outbox.seal set snap = ((pg_snapshot_xmin(snap)::text::bigint + 1000000) || ':' ||"
        " (pg_snapshot_xmax(snap)::text::bigint + 1000000) || ':')::pg_snapshot where no > 0"
    )


def test_finding_36_a_restore_into_smaller_transaction_ids_seals_again_after_a_rebase(
    dsn: str, conn: Connection, tmp_path: Path
) -> None:
    make_counters(conn)
    produce(conn, 80)
    url = f"file://{tmp_path}/out.jsonl"
    drain(dsn, url)
    produce(conn, 8)
    held = publish(conn, "later", hold="1h")
    as_in_smaller_transaction_ids(conn)
    produce(conn, 8)
    code, _, said = relay(dsn, "run", url, "--drain")
    assert (code, "relay rebase" in said) == (3, True)
    code, out, _ = relay(dsn, "rebase", "--json")
    assert (code, json.loads(out)["seal"]) == (0, 2)
    produce(conn, 8)
    drain(dsn, url, "--topic", "*")
    judge(committed(conn), in_file(tmp_path / "out.jsonl"))
    assert scalar(conn, "select status from outbox.messages where message_id = %s", [held]) == "held"
    assert column(conn, "select distinct status from relay.deliveries") == ["delivered"]
    assert relay(dsn, "rebase")[0] == 4


def test_a_copy_of_the_database_seals_only_after_a_rebase(
    postgres: rig.Cluster, dsn: str, database: str, tmp_path: Path
) -> None:
    with psycopg.connect(dsn, autocommit=True) as original:
        make_counters(original)
        produce(original, 80)
        seal(original)
        produce(original, 8)
    with postgres.database(template=database) as copy:
        url = f"file://{tmp_path}/out.jsonl"
        copied = postgres.dsn(copy)
        code, _, said = relay(copied, "run", url, "--drain")
        assert (code, "is a copy" in said) == (3, True)
        assert relay(copied, "rebase")[0] == 0
        drain(copied, url)
        with psycopg.connect(copied) as conn:
            judge(committed(conn), in_file(tmp_path / "out.jsonl"))


def test_a_clone_that_takes_itself_for_the_original_is_found_out_by_what_it_delivers(
    postgres: rig.Cluster, dsn: str, database: str, tmp_path: Path
) -> None:
    """A copied data directory has all identifiers of its original (here: the copy's are made equal). The destination takes one
    history only: whoever comes second with another message at a position stops."""
    url = f"file://{tmp_path}/out.jsonl"
    with psycopg.connect(dsn, autocommit=True) as conn:
        publish(conn)
    drain(dsn, url)
    with postgres.database(template=database) as copy:
        cloned = postgres.dsn(copy)
        with psycopg.connect(cloned, autocommit=True) as clone:
            clone.execute(
                "update outbox.lineage set database = (select oid from pg_database where datname = current_database())"
            )
            publish(clone)
        drain(cloned, url)
        with psycopg.connect(dsn, autocommit=True) as conn:
            publish(conn)
        code, _, said = relay(dsn, "run", url, "--drain")
        assert (code, "no copy of the database publishes" in said) == (3, True), said
        assert (tmp_path / "out.jsonl").read_text().count("\n") == 2


def restore_in_place(server: PostgresServer, backup: Path) -> None:
    """Recover from a backup, which ends on a timeline of its own, as a restore to a point in time does."""
    server.stop()
    shutil.rmtree(server.data_dir)
    shutil.copytree(backup, server.data_dir)
    (server.data_dir / "recovery.signal").touch()
    with (server.data_dir / "postgresql.conf").open("a") as conf:
        conf.write("restore_command = 'false'\n")
    for path in (server.data_dir, *server.data_dir.rglob("*")):
        shutil.chown(path, server.account.uid, server.account.gid)
    server.start()
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        wait_until(lambda: scalar(conn, "select pg_is_in_recovery()") is False)


def test_finding_37_a_restore_to_five_minutes_ago_while_the_broker_keeps_its_data(
    nats: NatsServer, stream: str, tmp_path: Path
) -> None:
    url, name = f"{nats.url}/{stream}", f"nats:{stream}"
    with rig.start_server(hot_standby=False) as server:
        dsn = server.dsn("shop")
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute("create database shop")
        migrate(dsn)
        with psycopg.connect(dsn, autocommit=True) as conn:
            make_counters(conn)
            produce(conn, 80)
        drain(dsn, url)
        server.stop()
        shutil.copytree(server.data_dir, tmp_path / "backup")
        server.start()
        with psycopg.connect(dsn, autocommit=True) as conn:
            produce(conn, 16)
        drain(dsn, url)
        lost = [one.message_id for one in in_stream(nats.url, stream)[80:]]
        restore_in_place(server, tmp_path / "backup")
        with psycopg.connect(dsn, autocommit=True) as conn:
            produce(conn, 24)
            code, _, said = relay(dsn, "run", url, "--drain")
            assert (code, f"relay rebase {name}" in said) == (3, True)
            code, _, said = relay(dsn, "rebase", name)
            assert (code, f"relay rebase {name} --accept-tail" in said) == (3, True)
            assert all(one in said for one in lost)
            code, out, _ = relay(dsn, "rebase", name, "--accept-tail", "--json")
            assert (code, json.loads(out)["lost"]) == (0, lost)
            drain(dsn, url)
            produce(conn, 8)
            drain(dsn, url)
            arrived = in_stream(nats.url, stream)
            judge(committed(conn), [one for one in arrived if one.message_id not in lost], dense=False)
            assert [one.position for one in arrived] == list(range(1, 129))
            assert scalar(conn, "select behind from relay.lag") == 0
            assert scalar(conn, "select count(*) from outbox.lineage") == 2
            last = scalar(conn, "select max(position) from relay.deliveries")
            assert last == 128


def test_finding_37_a_destination_that_is_ahead_of_a_restored_database_goes_on_behind_its_tail(
    dsn: str, conn: Connection, place: Place
) -> None:
    make_counters(conn)
    produce(conn, 80)
    drain(dsn, place.url, "--name", "d", *place.options())
    before = conn.execute(
        "select seal, position, passed, last_seal, last_id, message_id, token from relay.lane"
    ).fetchone()
    kept = committed(conn)
    produce(conn, 16)
    drain(dsn, place.url, "--name", "d", *place.options())
    lost = {one.message_id for one in place.arrived()[80:]}
    rewind(conn, before)
    conn.execute("update counter set n = %s", [kept["1"]])
    produce(conn, 24)
    assert relay(dsn, "run", place.url, "--name", "d", "--drain", *place.options())[0] == 3
    assert relay(dsn, "rebase", "d", "--accept-tail", *place.options())[0] == 0
    drain(dsn, place.url, "--name", "d", *place.options())
    judge(committed(conn), [one for one in place.arrived() if one.message_id not in lost], dense=False)
    assert len(place.arrived()) == 120


def rewind(conn: Connection, lane: Any) -> None:
    """Take the second seal and all that came with it out of the database, as a restore does, and begin a lineage."""
    conn.execute("delete from relay.mark where seal > 1")
    conn.execute("delete from outbox.seal where no > 1")
    conn.execute("delete from outbox.message where id > 80")
    conn.execute(
        "update relay.lane set (seal, position, passed, last_seal, last_id, message_id, token) = (%s, %s, %s, %s, %s, %s, %s)",
        lane,
    )
    conn.execute("select outbox.rebase()")


def test_a_destination_that_lost_its_tail_is_delivered_to_again_on_request(
    dsn: str, conn: Connection, tmp_path: Path
) -> None:
    make_counters(conn)
    path = tmp_path / "out.jsonl"
    url = f"file://{path}"
    for _ in range(3):
        produce(conn, 80)
        drain(dsn, url, "--name", "d")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:100]))
    code, _, said = relay(dsn, "run", url, "--name", "d", "--drain")
    assert (code, "relay rebase d" in said) == (3, True)
    code, _, said = relay(dsn, "rebase", "d")
    assert (code, "--replay-lost" in said) == (3, True)
    code, out, _ = relay(dsn, "rebase", "d", "--replay-lost", "--json")
    assert (code, json.loads(out)["again"]) == (0, 140)
    drain(dsn, url, "--name", "d")
    judge(committed(conn), in_file(path))
    assert relay(dsn, "rebase", "d")[0] == 4


def test_a_replay_delivers_a_span_of_time_to_a_new_name(dsn: str, conn: Connection, tmp_path: Path) -> None:
    moments = []
    for n in range(3):
        moments.append(scalar(conn, "select clock_timestamp()::text"))
        publish(conn, "t", data={"n": n}, key="k")
        publish(conn, "other", data={"n": n}, key="k")
        seal(conn)
    drain(dsn, f"file://{tmp_path}/a", "--name", "a", "--topic", "t")
    code, _, said = relay(
        dsn, "replay", "a", "--from", moments[1], "--to", moments[2], "--into", f"file://{tmp_path}/b", "--as", "b"
    )
    assert code == 0, said
    assert [(one.position, one.number) for one in in_file(tmp_path / "b")] == [(1, 1)]
    assert conn.execute(
        "select status, status_reason like %s from relay.destinations where destination = 'b'", ["its replay was done%"]
    ).fetchone() == ("stopped", True)
    assert relay(dsn, "replay", "nobody", "--from", "1h", "--into", f"file://{tmp_path}/c")[0] == 2


def test_finding_4_a_seal_that_no_standby_confirmed_is_not_delivered(tmp_path: Path) -> None:
    """Its wait was cancelled: it is committed here, with a warning, and may vanish with this server."""
    path = tmp_path / "out"
    with (
        rig.start_server(wal_level="replica", max_wal_senders=2) as server,
        psycopg.connect(server.dsn(), autocommit=True) as admin,
    ):
        admin.execute("create database shop")
        dsn = server.dsn("shop")
        migrate(dsn)
        with (
            RelayProcess(dsn, "run", f"file://{path}", "--lease", "1") as process,
            psycopg.connect(dsn, autocommit=True) as conn,
        ):
            process.wait_until_said("guarantee A")
            conn.execute("set synchronous_commit = local")
            admin.execute("alter system set synchronous_standby_names = 'nobody'")
            admin.execute("select pg_reload_conf()")
            wait_until(lambda: scalar(admin, "show synchronous_standby_names") == "nobody")
            publish(conn)
            waiting = "select pid from pg_stat_activity where wait_event = 'SyncRep' and query like '%next_messages%'"
            # a lease that is renewed may be the first to wait
            others = waiting.replace("select pid", "select pg_cancel_backend(pid)").replace("like", "not like")
            wait_until(lambda: bool(admin.execute(others.encode())) and scalar(admin, waiting) is not None)
            admin.execute("select pg_cancel_backend(%s)", [scalar(admin, waiting)])
            wait_until(lambda: scalar(admin, waiting) is None)
            wait_until(lambda: scalar(admin, "select count(*) from pg_stat_activity where wait_event = 'SyncRep'") > 0)
            assert path.stat().st_size == 0
            admin.execute("alter system reset synchronous_standby_names")
            admin.execute("select pg_reload_conf()")
            wait_until(lambda: path.stat().st_size > 0)
            assert "committed with a warning" in process.said()
