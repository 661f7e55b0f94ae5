"""The relay as what it is: another process, that may be killed at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

STREAM = "SHOP"
_STOP_SECONDS = 20
_DRAIN_SECONDS = 60

# Ends the relay when the demo ends, however that ends: the pipe closes even for a process that was killed.
_GUARD = 'cat >/dev/null; kill -9 "$1" 2>/dev/null'


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why."""


class RelayProcess:
    """`relay run` on the shop's database, into one stream."""

    def __init__(self, dsn: str, url: str, log: Path) -> None:
        self._environment = {**os.environ, "DATABASE_URL": dsn}
        self._destination = f"{url}/{STREAM}"
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        guard = ["/bin/sh", "-c", _GUARD, "guard", str(self._process.pid)]
        self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True)

    def kill(self) -> int:
        """SIGKILL: no clean-up, no goodbye. Returns the exit status, which is negative for a signal."""
        return self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM: finish what is under way."""
        return self._end(signal.SIGTERM)

    def drain(self) -> int:
        """Deliver everything committed until now, in a process of its own; its exit status."""
        with self._log.open("ab") as log:
            done = subprocess.run(
                [*self._command(), "--drain"],
                env=self._environment,
                stdout=log,
                stderr=log,
                timeout=_DRAIN_SECONDS,
                check=False,
            )
        return done.returncode

    def check(self) -> None:
        """Raises `DemoError` when the relay has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise DemoError(f"the relay ended by itself with status {self._process.returncode}: {self.last_words()}")

    def last_words(self) -> str:
        return self._log.read_text(errors="replace").strip()[-1000:] if self._log.exists() else ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self._dismiss_guard()

    def _command(self) -> list[str]:
        """The console script that was installed beside this interpreter."""
        return [str(Path(sys.executable).with_name("relay")), "run", self._destination]

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            raise DemoError("the relay was not started")
        self._dismiss_guard()
        self._process.send_signal(how)
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise DemoError(f"the relay did not stop: {self.last_words()}") from None

    def _dismiss_guard(self) -> None:
        """Before the process ends: afterwards its number may be another's."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None
