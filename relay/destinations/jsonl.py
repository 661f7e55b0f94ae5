"""A file with one CloudEvents JSON object a line. The lock, the last whole line and fsync make the append conditional.

Exactly once holds for relays on one host: the lock is flock's, which network file systems keep badly or not at all.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote, urlsplit

from relay.destinations.base import (
    Destination,
    Guarantee,
    InDoubt,
    Limits,
    MalformedUrl,
    Outcome,
    Owner,
    Refused,
    Stored,
    Tail,
    Url,
)
from relay.errors import DestinationRefused, DestinationUnavailable, ForeignWriter, TailLost
from relay.message import json_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from relay.message import Message

_BLOCK = 64 * 1024
_LOCK_SECONDS = 1.0
_RIGHTS = "check the path, its rights and the space on its disk"
_LINE_START = b'{"specversion":"1.0","id":"'  # what json_line writes first; anything else is nobody's to cut


class Jsonl(Destination):
    """`file:///path.jsonl`"""

    guarantee: ClassVar[Guarantee] = "A"

    def __init__(self, url: Url, credentials: str | None = None) -> None:
        super().__init__(url, credentials)
        self.path = Path(url.target)

    @classmethod
    def parse(cls, url: str) -> Url:
        parts = urlsplit(url)
        path = unquote(parts.path)
        if parts.netloc not in {"", "localhost"} or not path.startswith("/") or path.endswith("/"):
            raise MalformedUrl("a file is written file:///absolute/path.jsonl")
        if parts.query or parts.fragment:
            raise MalformedUrl("a file takes no options: file:///absolute/path.jsonl")
        return Url(shown=f"file://{parts.path}", scheme="file", target=path)

    async def open(self, owner: Owner, *, fresh: bool) -> Limits:
        if owner.lanes != 1:
            raise DestinationRefused("a file holds one lane", hint="leave lanes out")
        try:
            await asyncio.to_thread(self._open, fresh)
        except OSError as error:
            raise DestinationUnavailable(f"{self.path}: {error.strerror}", hint=_RIGHTS) from error
        return Limits(message_bytes=64 * 1024 * 1024)

    def _open(self, fresh: bool) -> None:
        if self.path.exists() and not self.path.is_file():
            raise DestinationRefused(f"{self.path} is not a regular file", hint="name a file, which need not exist yet")
        if self.path.is_symlink() and not self.path.exists():
            raise DestinationRefused(f"{self.path} is a symbolic link to nothing", hint="name the file itself")
        if not self.path.exists() and not fresh:
            raise TailLost(
                f"{self.path} is gone, though messages were delivered to it",
                hint="restore the file, or use another --name",
            )
        if not self.path.exists():
            # Messages are for the relay's account; whoever else is to read them is given the right by it.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
            _sync_folder(self.path.parent)
        # Without the lock, which is for appends: a relay that stands by needs none.
        file = os.open(self.path, os.O_RDWR)
        try:
            _check_ours(file)
        finally:
            os.close(file)

    async def tail(self, lane: int, known: Tail | None) -> Tail | None:  # noqa: ARG002
        return await asyncio.to_thread(self._tail)

    def _tail(self) -> Tail | None:
        try:
            with self._locked() as file:
                _cut_torn_tail(file)
                return _tail_of(file)
        except FileNotFoundError as error:
            raise TailLost(f"{self.path} is gone", hint="restore the file, or use another --name") from error
        except OSError as error:
            raise DestinationUnavailable(f"{self.path}: {error.strerror}", hint=_RIGHTS) from error

    async def append(self, lane: int, batch: Sequence[Message], expected: Tail | None) -> Outcome:  # noqa: ARG002
        lines = b"".join(map(json_line, batch))
        # The thread goes on when this task is cancelled: it must not be waited for by halves.
        return await asyncio.shield(asyncio.to_thread(self._append, lines, expected))

    def _append(self, lines: bytes, expected: Tail | None) -> Outcome:
        try:
            with self._locked() as file:
                _cut_torn_tail(file)
                if not _same(_tail_of(file), expected):
                    return Refused("moved", f"{self.path} does not end where it did")
                return _write_whole(file, os.fstat(file).st_size, lines)
        except FileNotFoundError:
            return Refused("moved", f"{self.path} is gone")
        except ForeignWriter as error:
            return Refused("moved", str(error))
        except (OSError, DestinationUnavailable) as error:
            return Refused("busy", f"{self.path}: {error}")

    async def read_back(self, lane: int, after: Tail | None, upto: Tail) -> AsyncIterator[tuple[int, str]]:  # noqa: ARG002
        with self.path.open("rb") as file:
            file.seek(int(after.token) if after else 0)
            while file.tell() < int(upto.token):
                tail = _parsed(file.readline(), file.tell())
                yield tail.position, str(tail.message_id)

    async def close(self) -> None:
        """Nothing is held between appends."""

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file, locked against other relays of this host, who hold it for one append at most."""
        file = os.open(self.path, os.O_RDWR)
        try:
            self._lock(file)
            yield file
        finally:
            os.close(file)

    def _lock(self, file: int) -> None:
        until = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > until:
                    hint = "end the other writer: a file takes one relay at a time"
                    raise DestinationUnavailable(f"{self.path} is locked by another process", hint=hint) from error
                time.sleep(0.005)  # in a thread of its own
            else:
                return


def _write_whole(file: int, size: int, lines: bytes) -> Outcome:
    """Append and sync, or leave the file as it was; only when even that fails the outcome is unknown."""
    try:
        _write_all(file, size, lines)
        os.fsync(file)
    except OSError as error:
        try:
            os.ftruncate(file, size)
            os.fsync(file)
        except OSError:
            return InDoubt(f"the file could not be written: {error.strerror}")
        return Refused("busy", f"the file could not be written: {error.strerror}")
    return Stored(token=str(size + len(lines)))


def _write_all(file: int, at: int, lines: bytes) -> None:
    view = memoryview(lines)
    while view:
        written = os.pwrite(file, view, at)
        at += written
        view = view[written:]


def _cut_torn_tail(file: int) -> None:
    """Half a line at the end is what a crash in mid-write left: it was never acknowledged."""
    size = os.fstat(file).st_size
    whole = _line_end_before(file, size)
    if whole == size:
        return
    _check_ours(file)
    os.ftruncate(file, whole)
    os.fsync(file)


def _check_ours(file: int) -> None:
    """Raises `ForeignWriter` unless the file is empty or ends with a line of a relay, whole or torn."""
    whole = _line_end_before(file, os.fstat(file).st_size)
    torn = os.pread(file, len(_LINE_START), whole)
    if not _LINE_START.startswith(torn) and torn.strip(b"\0"):
        raise ForeignWriter("the file does not end with a line of a relay", hint="give the relay a file of its own")
    _last_line(file, whole)


def _tail_of(file: int) -> Tail | None:
    return _last_line(file, os.fstat(file).st_size)


def _last_line(file: int, end: int) -> Tail | None:
    """The line that ends at this byte; None at the beginning of the file."""
    if end == 0:
        return None
    start = _line_end_before(file, end - 1)
    return _parsed(os.pread(file, end - start, start), end)


def _same(found: Tail | None, expected: Tail | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return (found.position, found.message_id, found.token) == (expected.position, expected.message_id, expected.token)


def _line_end_before(file: int, end: int) -> int:
    """The place after the last line feed in front of `end`; 0 when there is none."""
    while end > 0:
        start = max(0, end - _BLOCK)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _parsed(line: bytes, end: int) -> Tail:
    try:
        event = json.loads(line)
        return Tail(int(event["position"]), str(event["id"]), str(event["lineage"]), token=str(end))
    except (ValueError, KeyError, TypeError) as error:
        message = f"the line that ends at byte {end} was not written by a relay"
        raise ForeignWriter(message, hint="give the relay a file of its own") from error


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
