"""What is a table's own: who may drop its rows, what it survives, and where it may be."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest

from relay.destinations.base import Refused, Stored, Tail
from relay.destinations.postgres import TABLES, Postgres
from relay.errors import DestinationRefused, DestinationUnavailable, TailLost
from tests import rig
from tests.relay.oracle import Arrived, judge
from tests.relay.places import PostgresPlace
from tests.relay.support import ROOT, Connection, committed, drain, made_certificate, make_counters, produce, wait_until
from tests.relay.test_destinations import OWNER, messages, opened, positions, refused, store

if TYPE_CHECKING:
    from pathlib import Path

    from tests.relay.places import Place

pytestmark = pytest.mark.parametrize("place", [PostgresPlace], indirect=True, ids=["postgresql"])


async def test_rows_that_a_trigger_drops_refuse_the_append(place: PostgresPlace) -> None:
    async with opened(place) as destination:
        last = await store(destination, 1, 1, None)
        place.execute(
            "create function drop_it() returns trigger language plpgsql as 'begin return null; end';"
            " create trigger drop_it before insert on {table} for each row when (new.position = 3) execute function drop_it()"
        )
        assert (await refused(destination, 2, last)).why == "batch"
        last = await store(destination, 2, 2, last)
        outcome = await destination.append(0, messages(3, 3), last)
        assert outcome == Refused("message", "a trigger or a rule of the table drops rows")
        assert positions(place) == [1, 2]
        assert await destination.tail(0, None) == Tail(2, last.message_id, messages(2, 2)[0].lineage, last.token)


async def test_a_constraint_of_the_owner_refuses_the_message(place: PostgresPlace) -> None:
    async with opened(place) as destination:
        place.execute("alter table {table} add check (position <> 2)")
        last = await store(destination, 1, 1, None)
        outcome = await destination.append(0, messages(2, 2), last)
        assert isinstance(outcome, Refused)
        assert outcome.why == "message"


async def test_an_append_waits_for_its_commit_also_where_the_session_would_not(place: PostgresPlace) -> None:
    async with opened(place) as destination:
        (link,) = destination._connections.values()  # type: ignore[attr-defined]
        await link.execute("set synchronous_commit = off")
        place.execute(
            "create function told() returns trigger language plpgsql as"
            " 'begin raise exception ''%'', current_setting(''synchronous_commit''); end';"
            " create constraint trigger told after insert on {table} deferrable initially deferred"
            " for each row execute function told()"
        )
        outcome = await destination.append(0, messages(1, 1), None)
        assert isinstance(outcome, Refused)
        assert outcome.reason == "on"


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("alter table {table} set unlogged", "unlogged"),
        ("alter table {table} drop column topic", "topic"),
        ("alter table {position} rename column owner to whose", "owner"),
    ],
)
async def test_tables_that_break_the_promise_are_refused(place: PostgresPlace, statement: str, reason: str) -> None:
    async with opened(place):
        place.execute(statement)
    with pytest.raises(DestinationRefused, match=reason):
        async with opened(place, fresh=False):
            pass


async def test_positions_that_are_gone_are_a_lost_tail(place: PostgresPlace) -> None:
    async with opened(place) as destination:
        last = await store(destination, 1, 3, None)
        place.execute("truncate {position}")
        assert (await refused(destination, 4, last)).why == "moved"
        assert await destination.tail(0, last) is None
    with pytest.raises(TailLost, match="positions"):
        async with opened(place, fresh=False):
            pass


def test_lanes_share_the_table_and_a_key_keeps_its_lane(place: PostgresPlace, dsn: str, conn: Connection) -> None:
    make_counters(conn)
    for _ in range(2):
        produce(conn, 400)
        drain(dsn, f"{place.url}&lanes=3", *place.options())
    everything = committed(conn)
    rows = place.execute("select lane, position, id::text, key, (data->>'n')::int from {table} order by lane, position")
    lanes = {lane: [Arrived(*row[1:]) for row in rows if row[0] == lane] for lane in range(3)}
    for lane in lanes.values():
        mine = {one.key for one in lane}
        judge({key: everything.pop(key) for key in mine}, lane)
    assert everything == {}


def test_the_tables_are_documented_as_they_are_made(place: Place) -> None:  # noqa: ARG001
    text = (ROOT / "docs/destinations/postgres.md").read_text(encoding="utf-8")
    made = TABLES.format(table="events", position="events_position").replace("if not exists ", "")
    assert made.strip() in text


def test_a_table_in_the_same_database(place: Place, dsn: str, conn: Connection) -> None:
    make_counters(conn)
    produce(conn, 160)
    parts = urlsplit(dsn)
    secret = place.write_credentials(f"{parts.username}:{parts.password}")
    url = f"postgresql://{parts.hostname}:{parts.port}{parts.path}?table=public.events"
    drain(dsn, url, "--credentials", str(secret))
    rows: list[Any] = conn.execute(
        "select position, id::text, key, (data->>'n')::int from events order by position"
    ).fetchall()

    judge(committed(conn), [Arrived(*row) for row in rows])
    with psycopg.connect(dsn) as other:
        assert other.execute("select url from relay.destinations").fetchone() == (url,)


async def test_a_connection_is_encrypted_and_its_certificate_checked(place: PostgresPlace, tmp_path: Path) -> None:
    certificate, key = made_certificate(tmp_path)
    with rig.start_server() as server, psycopg.connect(server.dsn(), autocommit=True) as admin:
        url = f"postgresql://127.0.0.1:{server.port}/postgres?table={place.name}"
        credentials = place.write_credentials(urlsplit(server.dsn()).netloc.rpartition("@")[0])

        def at(options: str) -> Postgres:
            return Postgres(Postgres.parse(f"{url}&{options}"), str(credentials))

        with pytest.raises(DestinationUnavailable, match="speaks no TLS"):
            await at("sslmode=require").open(OWNER, fresh=True)
        for file in (certificate, key):
            inside = server.data_dir / file.name
            inside.write_bytes(file.read_bytes())
            inside.chmod(0o600)
            shutil.chown(inside, server.account.uid, server.account.gid)
        try:
            admin.execute("alter system set ssl = on")
        except psycopg.errors.InvalidParameterValue:
            pytest.skip("this build of PostgreSQL has no TLS; Debian's has: JOURNAL_TEST_POSTGRES=15")
        admin.execute("select pg_reload_conf()")
        wait_until(lambda: admin.execute("show ssl").fetchone() == ("on",))
        trusting = at(f"sslmode=verify-full&sslrootcert={certificate}")
        await trusting.open(OWNER, fresh=True)
        assert isinstance(await trusting.append(0, messages(1, 2), None), Stored)
        encrypted = "select ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'relay'"
        assert admin.execute(encrypted).fetchall() == [(True,)]
        await trusting.close()
        with pytest.raises(DestinationUnavailable, match="is not trusted"):
            await at("sslmode=verify-full&sslrootcert=system").open(OWNER, fresh=False)
