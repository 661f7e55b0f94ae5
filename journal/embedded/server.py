"""One server process in one temporary folder: start, kill, start again, stop, and never stay behind."""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

INSTALL_HINT = 'pip install "agent-journal[embedded]"'
_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.01

# Waits until the pipe from our process closes, which the system does even for a process that was killed; then ends the server,
# if it still runs, and removes the folder.
_GUARD = """
cat >/dev/null
if [ -f "$1/pid" ]; then
  pid=$(cat "$1/pid")
  kill -QUIT "$pid" 2>/dev/null
  for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
  kill -KILL "$pid" 2>/dev/null
fi
rm -rf "$1"
"""


class EmbeddedError(RuntimeError):
    """An embedded server is not installed or did not start; the message says which and why."""


class PortTaken(EmbeddedError):
    """Another program took the port between our look and the server's start."""


@dataclass(frozen=True)
class Account:
    """The system account that a server runs as."""

    uid: int
    gid: int

    def popen(self) -> dict[str, Any]:
        """The arguments for `subprocess` that run a program as this account; none when it is our own."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def ourselves() -> Account:
    return Account(os.geteuid(), os.getegid())


def unprivileged() -> Account:
    """Ourselves, or `nobody` when we are root: PostgreSQL refuses to run as root. No account is ever added."""
    if os.geteuid() != 0:
        return ourselves()
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError("running as root, and the system has no user 'nobody' to run the server as") from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def reachable(path: Path) -> bool:
    """Whether any user may traverse to `path` and read it."""
    path = path.resolve()
    parents_open = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)
    return parents_open and bool(path.stat().st_mode & stat.S_IROTH)


def make_folder(prefix: str, account: Account) -> Path:
    """A new temporary folder that only `account` can enter; the rights of its parents stay as they are."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=_base(account)))
    os.chown(folder, account.uid, account.gid)
    return folder


def write_private(path: Path, text: str, account: Account) -> None:
    """Write a new file that only `account` can read, or a file made so again."""
    path.touch(mode=0o600)
    os.chown(path, account.uid, account.gid)
    path.write_text(text)


def _base(account: Account) -> str | None:
    if account == ourselves():
        return None
    for candidate in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108  candidates, checked before use
        if Path(candidate).is_dir() and reachable(Path(candidate)):
            return candidate
    raise EmbeddedError("running as root, and no temporary folder can be entered by the user 'nobody'")


def free_port() -> int:
    """A port of the loopback interface that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server(ABC):
    """A server process and its folder. A context manager: leaving it stops the server and removes the folder."""

    host = "127.0.0.1"
    port: int

    def __init__(self, name: str, account: Account) -> None:
        self.name = name
        self.account = account
        self.folder = make_folder(f"journal-{name}-", account)
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = _start_guard(self.folder)
        atexit.register(self.close)

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """The program and its arguments for `self.port`."""

    @abstractmethod
    def _ready(self) -> bool:
        """Whether the server, known to be running, accepts connections."""

    @abstractmethod
    def _may_pass(self, tail: str) -> bool:
        """Whether what the log says may be over in a moment, so that another try is worth it."""

    _port_taken_words: str  # what the log says when the port is another's
    _closing_signal = signal.SIGTERM
    _environment: Mapping[str, str] | None = None

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "log"

    @property
    def pid(self) -> int | None:
        """The server's process id, or None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start, or start again on the same port after `stop` or `kill`. Returns when connections are accepted."""
        if self.pid is not None:
            return
        deadline = time.monotonic() + _START_SECONDS
        while True:
            written = self.log.stat().st_size if self.log.exists() else 0
            self._spawn()
            if self._wait_ready(deadline):
                return
            tail = self._log_since(written)
            if not self._may_pass(tail) or time.monotonic() > deadline:
                raise self._failure(tail)
            time.sleep(0.1)

    def start_on_free_port(self) -> None:
        """The first start: on a free port, on another one if somebody takes it in between."""
        for _ in range(20):
            self.port = free_port()
            with contextlib.suppress(PortTaken):
                self.start()
                return
        raise EmbeddedError(f"{self.name}: found no free port")

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop the server and remove its folder. May be called again."""
        atexit.unregister(self.close)
        self._end(self._closing_signal)
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spawn(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for us, the server is stopped in order
                **self.account.popen(),
            )
        (self.folder / "pid").write_text(str(self._process.pid))

    def _wait_ready(self, deadline: float) -> bool:
        """True when ready; False when the process has ended."""
        while time.monotonic() < deadline:
            if self.pid is None:
                return False
            if self._ready():
                return True
            time.sleep(_POLL_SECONDS)
        self.kill()
        return False

    def _port_taken(self, tail: str) -> bool:
        return self._port_taken_words in tail

    def _failure(self, tail: str) -> EmbeddedError:
        last_lines = "\n".join(tail.splitlines()[-10:]) or "(its log is empty)"
        return (PortTaken if self._port_taken(tail) else EmbeddedError)(
            f"{self.name} did not start; its log ends with\n{last_lines}"
        )

    def _log_since(self, position: int) -> str:
        with self.log.open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        (self.folder / "pid").unlink(missing_ok=True)


def _start_guard(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "guard", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
