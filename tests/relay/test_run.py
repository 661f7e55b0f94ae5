"""What `relay run` promises at the command line: it delivers, drains, stops, waits its turn, and says what is wrong."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.outbox.support import open_session, publish, publish_in
from tests.relay.oracle import judge
from tests.relay.support import (
    Connection,
    RelayProcess,
    committed,
    drain,
    events,
    in_file,
    in_stream,
    jetstream,
    make_counters,
    position,
    produce,
    raw_stream,
    relay,
    wait_until,
    write_to_stream,
)

if TYPE_CHECKING:
    from pathlib import Path

    from journal.embedded import NatsServer


SCHEMES = "nats:, redis:, rediss:, postgresql:, file:, stdout:"


@pytest.fixture
def nats_url(nats: NatsServer, stream: str) -> str:
    return f"{nats.url}/{stream}"


# -- delivering


def test_a_drain_delivers_everything_committed_before_the_call(
    dsn: str, conn: Connection, nats: NatsServer, stream: str, nats_url: str
) -> None:
    make_counters(conn)
    produce(conn, 2400)
    drain(dsn, nats_url)
    judge(committed(conn), in_stream(nats.url, stream))


def test_a_second_drain_has_nothing_to_do_and_exits_0(
    dsn: str, conn: Connection, file_url: str, tmp_path: Path
) -> None:
    make_counters(conn)
    produce(conn, 80)
    drain(dsn, file_url)
    drain(dsn, file_url)
    produce(conn, 80)
    drain(dsn, file_url)
    judge(committed(conn), in_file(tmp_path / "out.jsonl"))


def test_a_running_relay_delivers_what_is_published(dsn: str, conn: Connection, file_url: str, tmp_path: Path) -> None:
    make_counters(conn)
    with RelayProcess(dsn, "run", file_url) as process:
        process.wait_until_said("guarantee A")
        for _ in range(5):
            produce(conn, 80)
            wait_until(lambda: len(in_file(tmp_path / "out.jsonl")) == sum(committed(conn).values()))
    judge(committed(conn), in_file(tmp_path / "out.jsonl"))


def test_the_guarantee_is_printed_before_the_first_append(dsn: str, conn: Connection) -> None:
    publish(conn, data={"n": 1})
    code, out, said = relay(dsn, "run", "stdout:", "--drain")
    assert code == 0
    assert said.startswith("stdout:: guarantee D")
    assert [event["data"] for event in events(out.encode())] == [{"n": 1}]


def test_a_large_transaction_is_read_in_parts(dsn: str, conn: Connection, file_url: str, tmp_path: Path) -> None:
    make_counters(conn)
    produce(conn, 8000)
    drain(dsn, file_url)
    produce(conn, 16)
    drain(dsn, file_url)
    judge(committed(conn), in_file(tmp_path / "out.jsonl"))


def test_only_the_topics_of_the_route_are_delivered_at_dense_positions(dsn: str, conn: Connection) -> None:
    for n in range(6):
        publish(conn, "orders.made" if n % 2 else "invoices", data=n)
    code, out, _ = relay(dsn, "run", "stdout:", "--drain", "--topic", "orders.*")
    assert code == 0
    assert [(event["position"], event["data"]) for event in events(out.encode())] == [(1, 1), (2, 3), (3, 5)]


def test_from_now_leaves_out_what_was_sealed_before(dsn: str, conn: Connection) -> None:
    publish(conn, data="before")
    drain(dsn, "stdout:", "--name", "other")
    relay(dsn, "run", "stdout:", "--drain", "--from", "now")
    publish(conn, data="after")
    _, out, _ = relay(dsn, "run", "stdout:", "--drain")
    assert [(event["position"], event["data"]) for event in events(out.encode())] == [(1, "after")]


def test_from_a_time_leaves_out_what_was_sealed_before_it(dsn: str, conn: Connection) -> None:
    publish(conn, data="before")
    drain(dsn, "stdout:", "--name", "other")
    moment = conn.execute("select clock_timestamp()").fetchone()
    assert moment is not None
    publish(conn, data="after")
    drain(dsn, "stdout:", "--name", "other")
    _, out, _ = relay(dsn, "run", "stdout:", "--drain", "--from", moment[0].isoformat())
    assert [(event["position"], event["data"]) for event in events(out.encode())] == [(1, "after")]
    assert relay(dsn, "run", "stdout:", "--from", "soon")[0] == 2


def test_lanes_are_streams_of_their_own_and_a_key_keeps_its_lane(
    dsn: str, conn: Connection, nats: NatsServer, stream: str, nats_url: str
) -> None:
    make_counters(conn)
    produce(conn, 1600)
    drain(dsn, f"{nats_url}?lanes=3")
    produce(conn, 80)
    drain(dsn, f"{nats_url}?lanes=3")
    lanes = [in_stream(nats.url, f"{stream}-{lane}") for lane in range(3)]
    keys = [{one.key for one in lane} for lane in lanes]
    assert set.union(*keys) == committed(conn).keys()
    for lane, mine in zip(lanes, keys, strict=True):
        judge({key: n for key, n in committed(conn).items() if key in mine}, lane)
    assert relay(dsn, "run", f"{nats_url}?lanes=4", "--drain")[0] == 2


def test_held_messages_are_counted_and_do_not_fail_a_drain(dsn: str, conn: Connection) -> None:
    publish_in(conn, open_session(conn), hold="close")
    assert "1 held messages were not delivered" in drain(dsn, "stdout:")


def test_a_message_travels_as_a_cloud_event(
    dsn: str, conn: Connection, nats: NatsServer, stream: str, nats_url: str
) -> None:
    message_id = publish(
        conn,
        "orders.made > 1%",
        "a key\r\nNats-Rollup: all",
        {"ü": 1.50},
        headers={"X-Trace": "t", "n": 1},
        type="order",
    )
    publish(conn, "empty")
    drain(dsn, nats_url)
    (first, data), (second, nothing) = raw_stream(nats.url, stream)
    lineage = first.pop("ce-lineage")
    assert len(lineage) == 36
    for name in ("Nats-Expected-Last-Sequence", "Nats-Expected-Stream", "Nats-Batch-Id", "Nats-Batch-Sequence"):
        first.pop(name, None)
    created = first.pop("ce-time")
    assert created.endswith("Z")
    database = conn.info.dbname
    assert first == {
        "ce-specversion": "1.0",
        "ce-id": str(message_id),
        "ce-type": "order",
        "ce-source": f"/{database}",
        "ce-subject": "a%20key%0D%0ANats-Rollup:%20all",
        "ce-partitionkey": "a%20key%0D%0ANats-Rollup:%20all",
        "ce-lane": "0",
        "ce-position": "1",
        "X-Trace": "t",
        "n": "1",
    }
    assert json.loads(data) == {"ü": 1.50}
    assert nothing == b""
    assert "ce-subject" not in second


def test_subjects_are_the_stream_and_the_escaped_topic(
    dsn: str, conn: Connection, nats: NatsServer, stream: str, nats_url: str
) -> None:
    publish(conn, "orders.made *>%")
    drain(dsn, nats_url)
    answer = jetstream(nats.url, f"STREAM.INFO.{stream}", {"subjects_filter": ">"})
    assert list(answer["state"]["subjects"]) == [f"{stream}.orders%2Emade%20%2A%3E%25"]


def test_a_compensation_names_what_it_takes_back(dsn: str, conn: Connection) -> None:
    session_id = open_session(conn)
    message_id = publish_in(conn, session_id, "refunds", "42", compensation={"undo": True})
    drain(dsn, "stdout:")
    conn.execute("select outbox.take_back(array[%s]::uuid[], null, gen_random_uuid())", [session_id])
    _, out, _ = relay(dsn, "run", "stdout:", "--drain")
    (event,) = events(out.encode())
    assert (event["type"], event["compensates"], event["subject"]) == ("refunds.compensated", str(message_id), "42")


# -- starting, stopping, taking turns


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_the_relay_cleanly(
    dsn: str, conn: Connection, file_url: str, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    make_counters(conn)
    produce(conn, 80)
    with RelayProcess(dsn, "run", file_url) as process:
        wait_until(lambda: (tmp_path / "out.jsonl").exists() and len(in_file(tmp_path / "out.jsonl")) == 80)
        process.signal(number)
        assert process.wait(10) == code
    row = conn.execute("select position, leaseholder, lease_until from relay.lag").fetchone()
    assert row == (80, None, None)


def test_a_second_relay_stands_by_and_takes_over(dsn: str, conn: Connection, file_url: str, tmp_path: Path) -> None:
    make_counters(conn)
    path = tmp_path / "out.jsonl"
    with RelayProcess(dsn, "run", file_url) as first:
        first.wait_until_said("guarantee A")
        wait_until(lambda: conn.execute("select leaseholder from relay.lag").fetchone() not in {None, (None,)})
        with RelayProcess(dsn, "run", file_url) as second:
            second.wait_until_said("standing by")
            first.signal(signal.SIGTERM)
            first.wait(10)
            produce(conn, 80)
            wait_until(lambda: path.exists() and len(in_file(path)) == 80)
    judge(committed(conn), in_file(path))


def test_a_drain_beside_a_running_relay_waits_for_it(dsn: str, conn: Connection, file_url: str, tmp_path: Path) -> None:
    make_counters(conn)
    with RelayProcess(dsn, "run", file_url) as running:
        running.wait_until_said("guarantee A")
        produce(conn, 800)
        drain(dsn, file_url)
        judge(committed(conn), in_file(tmp_path / "out.jsonl"))


def test_a_drain_that_makes_no_progress_gives_up(dsn: str, conn: Connection, file_url: str) -> None:
    drain(dsn, file_url)
    publish(conn)
    conn.execute("select relay.pause(null)")
    code, _, said = relay(dsn, "run", file_url, "--drain", "--timeout", "1")
    assert code == 1
    assert "nothing was delivered for 1 s" in said


def test_a_paused_destination_waits_and_goes_on(dsn: str, conn: Connection, file_url: str, tmp_path: Path) -> None:
    make_counters(conn)
    path = tmp_path / "out.jsonl"
    with RelayProcess(dsn, "run", file_url) as process:
        process.wait_until_said("guarantee A")
        assert relay(dsn, "pause")[1] == f"file:{path}\n"
        process.wait_until_said("paused")
        assert conn.execute("select status from relay.destinations").fetchone() == ("paused",)
        produce(conn, 80)
        assert relay(dsn, "resume", f"file:{path}")[0] == 0
        wait_until(lambda: len(in_file(path)) == 80)
    judge(committed(conn), in_file(path))


def test_options_of_the_first_run_are_recorded_and_others_refused(dsn: str, conn: Connection) -> None:
    drain(dsn, "stdout:", "--topic", "a", "--topic", "b.*")
    code, _, said = relay(dsn, "run", "stdout:", "--drain", "--topic", "c")
    assert (code, said.splitlines()[0]) == (
        2,
        "usage: relay: stdout: was first run with topics a b.*, 1 lanes, from start",
    )
    assert conn.execute("select topics from relay.destinations").fetchone() == (["a", "b.*"],)


def test_a_destination_moves_to_a_new_url_under_its_name(dsn: str, conn: Connection, tmp_path: Path) -> None:
    make_counters(conn)
    produce(conn, 80)
    drain(dsn, f"file://{tmp_path}/a.jsonl", "--name", "log")
    (tmp_path / "a.jsonl").rename(tmp_path / "b.jsonl")
    produce(conn, 80)
    drain(dsn, f"file://{tmp_path}/b.jsonl", "--name", "log")
    judge(committed(conn), in_file(tmp_path / "b.jsonl"))


# -- what is wrong is said, and nothing is changed


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nats://127.0.0.1", "a stream is written nats://host:4222/STREAM"),
        ("nats://127.0.0.1/two/parts", "a stream is written nats://host:4222/STREAM"),
        ("nats://127.0.0.1:port/EVENTS", "a stream is written nats://host:4222/STREAM"),
        ("nats://user:secret@127.0.0.1/EVENTS", "credentials in a URL can be read by others"),
        ("file://relative.jsonl", "a file is written file:///absolute/path.jsonl"),
        ("file:///folder/", "a file is written file:///absolute/path.jsonl"),
        ("stdout://x", "standard output is written stdout:"),
        ("redis://127.0.0.1", "a stream is written redis://host:6379/0?stream=NAME"),
        ("redis://127.0.0.1/zero?stream=a", "a stream is written redis://host:6379/0?stream=NAME"),
        ("redis://127.0.0.1/0?stream=a&x=1", "a stream is written redis://host:6379/0?stream=NAME"),
        ("redis://:secret@127.0.0.1/0?stream=a", "credentials in a URL can be read by others"),
        ("postgresql://127.0.0.1/db", "a table is written postgresql://host:5432/database?table=NAME"),
        ("postgresql://127.0.0.1/db?table=Bad;", "a table is written postgresql://host:5432/database?table=NAME"),
        ("postgresql://u:secret@127.0.0.1/db?table=a", "a password in a URL can be read by others"),
        ("ftp://x", f"a destination begins with one of {SCHEMES}, not ftp:"),
        ("EVENTS", f"a destination begins with one of {SCHEMES}"),
    ],
)
def test_a_malformed_url_is_a_usage_error(dsn: str, conn: Connection, url: str, message: str) -> None:
    code, out, said = relay(dsn, "run", url, "--drain")
    assert code == 2
    assert out == ""
    assert said.startswith(f"usage: {message}")
    assert "secret" not in said
    assert conn.execute("select count(*) from relay.destinations").fetchone() == (0,)


def test_a_broker_that_is_down_is_said_in_one_line(dsn: str, conn: Connection) -> None:
    code, _, said = relay(dsn, "run", "nats://127.0.0.1:1/EVENTS")
    assert (code, said.splitlines()) == (
        1,
        ["error: NATS at 127.0.0.1:1 cannot be reached", "hint: check host and port, and that the server runs"],
    )
    assert conn.execute("select count(*) from relay.destinations").fetchone() == (0,)


def test_a_database_that_is_not_migrated_is_said_in_one_line(empty_dsn: str) -> None:
    code, _, said = relay(empty_dsn, "run", "stdout:", "--drain")
    assert (code, said.splitlines()[1]) == (1, "hint: run: journal migrate")


def test_a_database_that_is_down_is_said_in_one_line() -> None:
    code, _, said = relay("postgresql://127.0.0.1:1/x", "run", "stdout:", "--drain")
    assert code == 1
    assert said.startswith("error: the database does not answer")
    assert len(said.splitlines()) == 2


def test_a_role_without_rights_is_told_what_it_needs(postgres: Any, dsn: str, database: str) -> None:
    role = postgres.create_role()
    code, _, said = relay(postgres.dsn(database, role=role), "run", "stdout:", "--drain")
    assert code == 1
    assert "journal_operator" in said
    assert dsn not in said


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"storage": "memory"}, "keeps its messages in memory"),
        ({"no_ack": True}, "does not acknowledge"),
        ({"persist_mode": "async"}, "acknowledges before it has stored"),
        ({"max_msgs": 100}, "drops old messages"),
        ({"max_bytes": 100_000_000}, "drops old messages"),
        ({"max_age": 3_600_000_000_000}, "drops old messages"),
        ({"max_msgs_per_subject": 5}, "drops messages by subject"),
        ({"max_msg_size": 1000}, "takes small messages only"),
        ({"subjects": ["elsewhere.>"]}, "does not take the subjects"),
        ({"retention": "interest"}, "keeps none"),
        ({"subject_transform": {"src": ">", "dest": "x.>"}}, "changes subjects"),
    ],
)
def test_finding_31_a_stream_with_unsafe_settings_is_refused_with_the_reason(
    dsn: str, conn: Connection, nats: NatsServer, stream: str, config: dict[str, Any], reason: str
) -> None:
    base = {"name": stream, "subjects": [f"{stream}.>"], "storage": "file"}
    jetstream(nats.url, f"STREAM.CREATE.{stream}", {**base, **config})
    code, _, said = relay(dsn, "run", f"{nats.url}/{stream}", "--drain")
    assert code == 3
    assert reason in said
    assert len(said.splitlines()) == 2
    assert conn.execute("select count(*) from relay.destinations").fetchone() == (0,)
    assert "relay-owner" not in str(jetstream(nats.url, f"STREAM.INFO.{stream}")["config"].get("metadata"))


def test_retention_may_be_left_to_consumers_on_request(
    dsn: str, conn: Connection, nats: NatsServer, stream: str
) -> None:
    base = {"name": stream, "subjects": [f"{stream}.>"], "storage": "file", "max_msgs": 10, "deny_purge": True}
    jetstream(nats.url, f"STREAM.CREATE.{stream}", base)
    make_counters(conn)
    for _ in range(3):
        produce(conn, 80)
        drain(dsn, f"{nats.url}/{stream}?limits=accepted")
    assert [one.position for one in in_stream(nats.url, stream)] == list(range(231, 241))


def test_a_created_stream_keeps_the_guarantee(dsn: str, nats: NatsServer, stream: str, nats_url: str) -> None:
    drain(dsn, nats_url)
    config = jetstream(nats.url, f"STREAM.INFO.{stream}")["config"]
    wanted = {"storage": "file", "retention": "limits", "deny_purge": True, "deny_delete": True, "allow_atomic": True}
    assert {name: config.get(name) for name in wanted} == wanted


def test_finding_10_a_stream_of_another_database_is_refused(
    postgres: Any, dsn: str, conn: Connection, nats: NatsServer, stream: str, nats_url: str
) -> None:
    publish(conn)
    drain(dsn, nats_url)
    with postgres.database(template="migrated") as other:
        code, _, said = relay(postgres.dsn(other), "run", nats_url, "--drain")
    assert code == 3
    assert f"stream {stream} belongs to another relay" in said
    assert len(raw_stream(nats.url, stream)) == 1


def test_a_stream_with_messages_of_others_is_refused(dsn: str, nats: NatsServer, stream: str, nats_url: str) -> None:
    jetstream(nats.url, f"STREAM.CREATE.{stream}", {"name": stream, "subjects": [f"{stream}.>"], "storage": "file"})
    write_to_stream(nats.url, f"{stream}.x", b"theirs")
    code, _, said = relay(dsn, "run", nats_url, "--drain")
    assert code == 3
    assert "was not written by a relay" in said


def test_a_file_of_somebody_else_is_refused_and_left_alone(dsn: str, tmp_path: Path, file_url: str) -> None:
    path = tmp_path / "out.jsonl"
    for theirs in (b"no line feed at the end", b'{"a": 1}\n', b"a,b\n1,2\nhalf"):
        path.write_bytes(theirs)
        code, _, said = relay(dsn, "run", file_url, "--drain")
        assert code == 3, said
        assert path.read_bytes() == theirs


def test_credentials_come_from_a_file_and_are_never_shown(
    dsn: str, conn: Connection, tmp_path: Path, stream: str
) -> None:
    from journal.embedded import start_nats  # noqa: PLC0415

    publish(conn)
    (tmp_path / "secret").write_text("alice:s3cret\n")
    with start_nats(user="alice", password="s3cret") as server:
        url = f"nats://127.0.0.1:{server.port}/{stream}"
        code, _, refused = relay(dsn, "run", url, "--drain")
        assert code == 1
        assert "refuses the credentials" in refused
        said = drain(dsn, url, "--credentials", str(tmp_path / "secret"))
        assert "s3cret" not in said + refused
        shown = conn.execute("select url from relay.destinations").fetchone()
        assert shown == (url,)


# -- status


def test_status_tells_what_is_behind_and_what_to_do(dsn: str, conn: Connection, file_url: str) -> None:
    drain(dsn, file_url)
    assert relay(dsn, "status", "--check")[0] == 0
    publish(conn)
    conn.execute("select outbox.seal()")
    code, out, _ = relay(dsn, "status", "--check", "--json")
    status = json.loads(out)
    assert (code, status["exit_code"], status["healthy"]) == (1, 1, False)
    assert status["destinations"][0]["behind"] == 1
    assert status["findings"][0]["fix"].startswith(f"relay run {file_url}")
    assert relay(dsn, "status")[0] == 0


def test_deliveries_show_where_each_message_went(dsn: str, conn: Connection, file_url: str) -> None:
    first = publish(conn)
    drain(dsn, file_url)
    second = publish(conn)
    conn.execute("select outbox.seal()")
    rows = conn.execute(
        "select message_id, position, status, delivered_at is not null from relay.deliveries order by position"
    )
    assert rows.fetchall() == [(first, 1, "delivered", True), (second, 2, "waiting", False)]


def test_the_position_is_stored_about_once_a_second_and_not_for_every_batch(
    dsn: str, conn: Connection, file_url: str
) -> None:
    """Finding 25: an update for every batch slows down under a held snapshot."""
    make_counters(conn)
    with psycopg.connect(dsn) as held, RelayProcess(dsn, "run", file_url) as process:
        held.execute("select pg_current_xact_id()")
        process.wait_until_said("guarantee A")
        for _ in range(40):
            produce(conn, 8)
        wait_until(lambda: position(conn, f"file:{file_url.removeprefix('file://')}") == 320)
        row = conn.execute(
            "select coalesce(pg_stat_get_xact_tuples_updated('relay.lane'::regclass), 0) + n_tup_upd"
            " from pg_stat_all_tables where relid = 'relay.lane'::regclass"
        ).fetchone()
    assert row is not None
    assert row[0] < 20
