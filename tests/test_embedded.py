"""The embedded servers: nothing is left behind, whatever happens to the process that started them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nats as nats_client
import psycopg
import pytest

from journal.embedded import EmbeddedError, NatsServer, start_nats, start_postgres
from journal.embedded.postgres import wheel_bin_dir
from tests.rig import Cluster, start_server


def test_committed_rows_survive_a_kill_and_a_restart_on_the_same_port() -> None:
    with start_server(fsync=True) as server:
        with psycopg.connect(server.dsn()) as conn:
            conn.execute("create table kept as select 42 as answer")
        port = server.port
        server.kill()
        assert server.pid is None
        server.start()
        with psycopg.connect(server.dsn()) as conn:
            assert conn.execute("select answer from kept").fetchone() == (42,)
        assert server.port == port


def test_closing_removes_process_and_folder() -> None:
    server = start_server()
    pid, folder = server.pid, server.folder
    assert pid is not None
    server.close()
    server.close()
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_a_server_is_given_is_readable_by_its_account_only(postgres: Cluster, nats: NatsServer) -> None:
    for server in (postgres.server, nats):
        assert server.folder.stat().st_mode & 0o777 == 0o700
        assert server.folder.stat().st_uid == server.account.uid
    assert (nats.folder / "nats.conf").stat().st_mode & 0o777 == 0o600


def test_settings_go_over_ours() -> None:
    with (
        start_server(max_connections=17, application_name="it's") as server,
        psycopg.connect(server.dsn(), application_name="") as conn,
    ):
        assert conn.execute("show max_connections").fetchone() == ("17",)


def test_a_wrong_setting_is_an_error_that_shows_the_log() -> None:
    with pytest.raises(EmbeddedError, match="no_such_setting"):
        start_server(no_such_setting=1)


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(EmbeddedError, match="16 or 18"):
        start_postgres(version=12)


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(EmbeddedError, match=r"agent-journal\[embedded\]"):
        start_postgres()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_as_root_an_installation_in_a_closed_folder_is_run_from_a_copy() -> None:
    with tempfile.TemporaryDirectory() as closed:  # 0700
        package = wheel_bin_dir(18).parent.parent
        for name in (f"{package.name}/pginstall18", f"{package.name}.libs"):
            shutil.copytree(package.parent / name, Path(closed) / name)
        with (
            start_postgres(bin_dir=Path(closed) / package.name / "pginstall18" / "bin") as server,
            psycopg.connect(server.dsn()) as conn,
        ):
            assert conn.execute("select 1").fetchone() == (1,)
        assert Path(closed).stat().st_mode & 0o777 == 0o700


@pytest.fixture
def servers_of_a_script() -> Iterator[Callable[[], tuple[subprocess.Popen[str], list[int], list[Path]]]]:
    started: list[subprocess.Popen[str]] = []

    def start() -> tuple[subprocess.Popen[str], list[int], list[Path]]:
        script = (
            "import signal; from tests.rig import start_server; from journal.embedded import start_nats\n"
            "for server in (start_server(), start_nats()): print(server.pid, server.folder, flush=True)\n"
            "signal.pause()"
        )
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        lines = [process.stdout.readline().split() for _ in range(2)]
        return process, [int(pid) for pid, _ in lines], [Path(folder) for _, folder in lines]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, *(pytest.param(each, marks=pytest.mark.long) for each in (signal.SIGTERM, signal.SIGINT))]
)
def test_servers_end_with_the_process_that_started_them(
    how: signal.Signals, servers_of_a_script: Callable[[], tuple[subprocess.Popen[str], list[int], list[Path]]]
) -> None:
    process, pids, folders = servers_of_a_script()
    process.send_signal(how)
    process.wait()
    deadline = time.monotonic() + 20
    while any(folder.exists() for folder in folders) and time.monotonic() < deadline:
        time.sleep(0.05)  # the guard is nobody's child any more: there is nothing to wait for but the folder
    assert not [folder for folder in folders if folder.exists()]
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


async def test_a_stream_survives_a_kill_and_a_restart_on_the_same_port() -> None:
    with start_nats() as server:
        client = await nats_client.connect(server.url)
        await client.jetstream().add_stream(name="KEPT", subjects=["kept.>"])
        await client.jetstream().publish("kept.one", b"1")
        await client.close()
        server.kill()
        server.start()
        client = await nats_client.connect(server.url)
        assert (await client.jetstream().stream_info("KEPT")).state.messages == 1
        await client.close()


async def test_nats_with_a_password_refuses_others() -> None:
    with start_nats(user="someone", password="a secret") as server:
        client = await nats_client.connect(f"nats://{server.host}:{server.port}", user="someone", password="a secret")
        await client.close()
        with socket.create_connection((server.host, server.port)) as stranger, stranger.makefile() as lines:
            lines.readline()
            stranger.sendall(b"CONNECT {}\r\nPING\r\n")
            assert "Authorization Violation" in lines.readline()
