"""What the relay's tests share: producers, relay processes, and destinations to look into."""

from __future__ import annotations

import asyncio
import io
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import psycopg
import pytest

from relay.cli import main
from relay.pace import Pace
from tests.relay import forked
from tests.relay.oracle import Arrived

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

Connection = psycopg.Connection[Any]
T = TypeVar("T")
ROOT = Path(__file__).parents[2]
KEYS = 8


# -- producing


def make_counters(conn: Connection, keys: int = KEYS) -> None:
    """The rows that say what was committed."""
    conn.execute("create table counter (key text primary key, n int not null default 0)")
    conn.execute("insert into counter select k::text, 0 from generate_series(1, %s) as k", [keys])


def produce(conn: Connection, messages: int, *, keys: int = KEYS, size: int = 10) -> None:
    """That many messages in one transaction, spread over the keys."""
    conn.execute(
        "with raised as (update counter set n = n + %(each)s where key::int <= %(keys)s returning key, n)"
        " select outbox.publish('orders.made', r.key, jsonb_build_object('n', i, 'pad', repeat('x', %(size)s)))"
        " from (select r.key, i from raised as r, generate_series(r.n - %(each)s + 1, r.n) as i order by i, r.key) as r(key, i)",
        {"each": messages // keys, "keys": keys, "size": size},
    )


def committed(conn: Connection) -> dict[str, int]:
    return dict(conn.execute("select key, n from counter where n > 0").fetchall())


class Producers:
    """Threads that publish in small transactions, some of which abort, until the block ends. What was committed stands in the
    counters, also when the answer to a commit was lost: with `survive` they connect again whenever they are cut off."""

    def __init__(self, dsn: str, *, threads: int = 2, seed: int = 1, pause: float = 0.0, survive: bool = False) -> None:
        self._dsn = dsn
        self._pause = pause
        self._survive = survive
        self._stop = threading.Event()
        self._errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._work, args=(seed * 100 + n,)) for n in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _work(self, seed: int) -> None:
        chance = random.Random(seed)
        try:
            while not self._stop.is_set():
                with suppress(*((psycopg.OperationalError,) if self._survive else ())):
                    self._produce(chance)
                self._stop.wait(0.05)
        except BaseException as error:  # noqa: BLE001  a thread's error must reach the test
            self._errors.append(error)

    def _produce(self, chance: random.Random) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as conn:
            while not self._stop.wait(self._pause):
                self._transaction(conn, chance)

    @staticmethod
    def _transaction(conn: Connection, chance: random.Random) -> None:
        with conn.transaction(force_rollback=chance.random() < 0.1):
            for key in sorted(chance.sample(range(1, KEYS + 1), chance.randint(1, 3))):
                conn.execute(
                    "update counter set n = n + 1 where key = %s"
                    " returning outbox.publish('orders.made', key, jsonb_build_object('n', n))",
                    [str(key)],
                )


# -- relaying


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.relay.forked"])


class RelayProcess:
    """`relay …` as a process of its own. Talk and output go to files, so that it never blocks."""

    def __init__(self, dsn: str, *arguments: str) -> None:
        self._start(forked.command, dsn, arguments)

    def _start(self, work: Callable[..., None], *arguments: object, out: Path | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._talk = Path(self._folder.name, "talk")
        files = (str(out or Path(self._folder.name, "out")), str(self._talk))
        self._process = _FORKS.Process(target=work, args=(*arguments, *files), daemon=True)
        self._process.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.signal(signal.SIGCONT)
            self._process.kill()
        self._process.join()
        self._process.close()
        self._folder.cleanup()

    @property
    def running(self) -> bool:
        return self._process.is_alive()

    def signal(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        with suppress(ProcessLookupError):  # it may have ended meanwhile
            os.kill(self._process.pid, number)

    def run_on(self, seconds: float) -> None:
        """Let it work for so long, or until it ends."""
        self._process.join(seconds)

    def wait(self, timeout: float = 60.0) -> int:
        """Exit code; negative for a signal."""
        self._process.join(timeout)
        code = self._process.exitcode
        assert code is not None, f"it did not end: {self.said()}"
        return code

    def end(self) -> None:
        """Ask it to end, which it does cleanly."""
        assert self.running, self.said()
        self.signal(signal.SIGTERM)
        assert self.wait() == 0, self.said()

    def said(self) -> str:
        """What it said on stderr so far."""
        return self._talk.read_text(encoding="utf-8") if self._talk.exists() else ""

    def wait_until_said(self, text: str, timeout: float = 30.0) -> None:
        wait_until(lambda: text in self.said(), timeout, lambda: f"{text!r} was never said: {self.said()}")


class QuickRelay(RelayProcess):
    """`relay run` with leases and delays that suit a test; see `forked.quick` for `batch` and `die_at`."""

    def __init__(
        self,
        dsn: str,
        url: str,
        credentials: Path | None = None,
        *,
        lease: float = 0.3,
        drain: bool = False,
        batch: int | None = None,
        die_at: int | None = None,
        out: Path | None = None,
    ) -> None:
        pace = Pace(lease=lease, checkpoint=0.1, longest_delay=0.1)
        secret = str(credentials) if credentials else None
        self._start(forked.quick, dsn, url, secret, pace, drain, batch, die_at, out=out)


def relay(dsn: str, *arguments: str) -> tuple[int, str, str]:
    """Run a command to its end, in this process: exit code, stdout, stderr. Much quicker than a process of its own."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_URL", dsn)
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
    out.flush()
    code = ended.value.code
    assert isinstance(code, int)
    return code, out.buffer.getvalue().decode(), err.getvalue()


def drain(dsn: str, url: str, *arguments: str) -> str:
    """Deliver what is committed; what was said."""
    code, _, said = relay(dsn, "run", url, "--drain", *arguments)
    assert code == 0, said
    return said


def wait_until(condition: Callable[[], bool], timeout: float = 30.0, why: Callable[[], str] | None = None) -> None:
    """Look again and again: for what other processes do, there is no event to wait for."""
    until = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < until, why() if why else "timed out"
        time.sleep(0.01)


def position(conn: Connection, destination: str) -> int:
    row = conn.execute("select max(position) from relay.lag where destination = %s", [destination]).fetchone()
    return int(row[0] or 0) if row else 0


@contextmanager
def stolen_leases(dsn: str) -> Iterator[None]:
    """Leases that protect nothing: everybody is given every lane at every moment, and no epoch fences."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        owner = conn.execute("select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'relay'").fetchone()
        assert owner is not None
        conn.execute(f'set role "{owner[0]}"')
        conn.execute(_TAKE_ALWAYS)
        conn.execute(_NEVER_FENCE)
    yield


_TAKE_ALWAYS = """
create or replace function relay.take_lane(name text, lane integer, holder uuid, holder_name text, lease interval)
returns setof relay.lane language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$ select l.* from relay.lane as l where l.destination = name and l.lane = take_lane.lane $$
"""
_NEVER_FENCE = """
create or replace function relay.checkpoint(
    name text, lane integer, epoch bigint, lease interval, position_before bigint, seal bigint, "position" bigint,
    passed bigint, last_seal bigint, last_id bigint, message_id uuid, token text, in_doubt boolean
) returns table (paused boolean) language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
    update relay.lane as l set seal = checkpoint.seal, position = checkpoint."position", passed = checkpoint.passed,
        last_seal = checkpoint.last_seal, last_id = checkpoint.last_id, message_id = checkpoint.message_id, token = checkpoint.token
    where l.destination = name and l.lane = checkpoint.lane and checkpoint."position" >= l.position;
    return query select false;
end $$
"""


# -- looking into destinations


def in_file(path: Path) -> list[Arrived]:
    """What a JSONL destination holds, in order; half a line at the end is being written."""
    events = [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
    return [Arrived(event["position"], event["id"], event["subject"], event["data"]["n"]) for event in events]


def in_stream(url: str, stream: str) -> list[Arrived]:
    """What a stream holds, in order, read by a consumer as any other client would."""
    return [
        Arrived(int(headers["ce-position"]), headers["ce-id"], headers["ce-subject"], json.loads(data)["n"])
        for headers, data in raw_stream(url, stream)
    ]


def raw_stream(url: str, stream: str) -> list[tuple[dict[str, str], bytes]]:
    """Headers and data of all messages of a stream."""
    return _finished(_read_stream(url, stream))


async def _read_stream(url: str, stream: str) -> list[tuple[dict[str, str], bytes]]:
    import nats  # noqa: PLC0415

    client = await nats.connect(url, allow_reconnect=False)
    try:
        context = client.jetstream()
        total = (await context.stream_info(stream)).state.messages
        subscription = await context.subscribe(f"{stream}.>", stream=stream, ordered_consumer=True)
        found = [await subscription.next_msg(timeout=10) for _ in range(total)]
        await subscription.unsubscribe()
        return [(dict(message.headers or {}), message.data) for message in found]
    finally:
        await client.close()


def write_to_stream(url: str, subject: str, *payloads: bytes, headers: dict[str, str] | None = None) -> None:
    """Somebody else's messages."""

    async def write() -> None:
        import nats  # noqa: PLC0415

        client = await nats.connect(url, allow_reconnect=False)
        for payload in payloads:
            await client.jetstream().publish(subject, payload, headers=headers)
        await client.close()

    _finished(write())


def jetstream(url: str, call: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
    """A call of JetStream's API."""

    async def ask() -> dict[str, Any]:
        import nats  # noqa: PLC0415

        client = await nats.connect(url, allow_reconnect=False)
        payload = json.dumps(request).encode() if request is not None else b""
        try:
            reply = await client.request(f"$JS.API.{call}", payload, timeout=10)
        finally:
            await client.close()
        answer: dict[str, Any] = json.loads(reply.data)
        return answer

    answer = _finished(ask())
    assert "error" not in answer, answer["error"]
    return answer


def made_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificate, key = folder / "server.crt", folder / "server.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=test"
    files = ("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate))
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return certificate, key


def _finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of some asynchronous work, also where a loop is running already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def events(lines: bytes) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]
