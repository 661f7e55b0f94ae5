"""One relay process: a destination, those of its lanes that no other relay holds, until told to stop or all is delivered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from relay.destinations import destination_class
from relay.destinations.base import GUARANTEES, Owner
from relay.errors import (
    DestinationUnavailable,
    LeaseLost,
    OptionsDiffer,
    RelayError,
    SourceBusy,
    SourceUnavailable,
)
from relay.lane import LaneWorker
from relay.pace import Pace
from relay.source import Registration, Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.destinations.base import Destination, Limits

_log = logging.getLogger("relay.run")
_LONGEST_DELAY = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """What `relay run` was asked to do. `timeout`: seconds after which a drain that makes no progress gives up. `replay_to`: the
    time with which a replay ends."""

    dsn: str
    url: str
    name: str | None = None
    registration: Registration = field(default_factory=Registration)
    credentials: str | None = None
    drain: bool = False
    timeout: float = 60.0
    pace: Pace = field(default_factory=Pace)
    replay_to: str | None = None


class DrainTimeout(RelayError):
    """A drain made no progress for too long."""

    retryable = True


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain leaves: messages that wait for their hold, and those that the destination refused."""

    held: int
    parked: int


class Relay:
    """Runs one destination. `say` tells a person what happens; it is never called with secrets."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        found = destination_class(options.url)
        self._options = options
        self._say = say
        self._url = found.parse(options.url)
        self._class = found
        self._name = options.name or self._url.default_name
        self._holder = uuid4()
        self._holder_name = f"{socket.gethostname()}:{os.getpid()}"
        self._stopping = asyncio.Event()  # told to stop
        self._halting = asyncio.Event()  # told to stop, or one lane has failed
        self._announced = False
        self._workers: dict[int, LaneWorker] = {}

    def stop(self) -> None:
        """Finish what is on its way, and end."""
        self._stopping.set()
        self._halt()

    def _halt(self) -> None:
        self._halting.set()
        for worker in self._workers.values():
            worker.stop()

    async def run(self) -> Drained | None:
        """Deliver until stopped (None), or with `drain` until everything committed before this call is delivered.

        Raises what a person must look at; waits for a database or a destination that went away after the start.
        """
        delay = 0.1
        while True:
            source = Source(self._options.dsn, self._name)
            try:
                return await self._serve(source)
            except (SourceUnavailable, DestinationUnavailable) as error:
                if not self._announced or self._options.drain:
                    raise
                _log.warning("%s", error)
            finally:
                await source.close()
            if await _set_within(self._stopping, delay):
                return None
            self._halting.clear()
            delay = min(delay * 2, _LONGEST_DELAY)

    async def _serve(self, source: Source) -> Drained | None:
        await source.connect()
        destination = self._class(self._url, self._options.credentials)
        try:
            limits = await self._opened(source, destination)
            until = await self._target(source) if self._options.drain else None
            lanes = await source.registered_lanes() or 1
            await self._all_lanes(source, destination, limits, lanes, until)
            if self._options.replay_to is not None and until is not None and not self._stopping.is_set():
                await source.finish(until)
            return await _drained(source) if until is not None and not self._stopping.is_set() else None
        finally:
            await destination.close()

    async def _opened(self, source: Source, destination: Destination) -> Limits:
        """Check everything, then register; so that what is refused leaves nothing behind."""
        wanted = self._options.registration
        await source.check_options(wanted)
        lanes = await source.registered_lanes() or wanted.lanes or 1
        owner = Owner(source.origin, self._name, lanes)
        limits = await destination.open(owner, fresh=await source.is_fresh())
        await source.register(self._url, destination.guarantee, limits, wanted)
        for notice in destination.notices:
            self._say(notice)
        if not self._announced:
            self._say(f"{self._name}: guarantee {destination.guarantee}, {GUARANTEES[destination.guarantee]}")
            self._announced = True
        return limits

    async def _target(self, source: Source) -> int:
        """The seal up to which a drain delivers: whatever the caller committed before is in it or before it."""
        await source.seal(wait=True)
        if self._options.replay_to is not None:
            return await source.last_seal_at(self._options.replay_to)
        return await source.last_seal()

    async def _all_lanes(
        self, source: Source, destination: Destination, limits: Limits, lanes: int, until: int | None
    ) -> None:
        work = [self._lane(source, destination, limits, lane, until) for lane in range(lanes)]
        tasks = [asyncio.create_task(one) for one in work]
        if until is None:
            tasks.append(asyncio.create_task(self._tend(source)))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self._halt()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            await self._record(source, failures[0])
            raise failures[0]

    async def _tend(self, source: Source) -> None:
        """Look after the partitions now and then. Where that fails, delivery goes on: messages find room in any case."""
        while not await _set_within(self._halting, self._options.pace.tending):
            try:
                await source.tend()
            except RelayError as error:
                if isinstance(error, SourceUnavailable) and not isinstance(error, SourceBusy):
                    raise
                _log.warning("the partitions of messages could not be looked after: %s", error)

    async def _record(self, source: Source, failure: BaseException) -> None:
        """Leave the reason where a DBA looks for it."""
        waits = isinstance(failure, SourceUnavailable | DestinationUnavailable | DrainTimeout)
        if isinstance(failure, RelayError) and not isinstance(failure, SourceUnavailable):
            with contextlib.suppress(RelayError):
                await source.report_error(str(failure), stopped=not waits)

    async def _lane(
        self, source: Source, destination: Destination, limits: Limits, lane: int, until: int | None
    ) -> None:
        """Take the lane when it is free, and serve it; stand by while another relay does."""
        progress = _Progress(self._options.timeout)
        standing_by = False
        while not self._halting.is_set():
            lease = await source.take(lane, self._holder, self._holder_name, self._options.pace.lease)
            if lease is not None:
                standing_by = False
                worker = LaneWorker(source, destination, limits, lease, until=until, pace=self._options.pace)
                if await self._served(worker, lane, progress if until is not None else None):
                    return
                continue
            if not standing_by:
                self._say(f"{self._name}: another relay serves lane {lane}; standing by")
                standing_by = True
            stored = await source.look(lane)
            if until is not None and stored is not None:
                if stored.point.seal >= until:
                    return
                progress.check(stored.point.position)
            await _set_within(self._halting, min(1.0, self._options.pace.lease / 4))

    async def _served(self, worker: LaneWorker, lane: int, progress: _Progress | None) -> bool:
        """Serve a lane until it ends; False when its lease was lost."""
        self._workers[lane] = worker
        watch = asyncio.create_task(_watch(worker, progress)) if progress is not None else None
        try:
            await worker.run()
        except LeaseLost as error:
            _log.warning("%s", error)
            return False
        finally:
            del self._workers[lane]
            if watch is not None:
                watch.cancel()
                await asyncio.wait({watch})
        if watch is not None and not watch.cancelled():
            watch.result()
        return True


class _Progress:
    """Gives up when a position has not moved for so long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._position = -1
        self._since = time.monotonic()

    def check(self, position: int) -> None:
        if position != self._position:
            self._position, self._since = position, time.monotonic()
        elif time.monotonic() - self._since > self._seconds:
            raise DrainTimeout(
                f"nothing was delivered for {self._seconds:.0f} s, and not everything is delivered",
                hint="see: relay status",
            )


async def _watch(worker: LaneWorker, progress: _Progress) -> None:
    """Ends a drain that makes no progress."""
    try:
        while True:
            await asyncio.sleep(0.5)
            progress.check(worker.point.position)
    except DrainTimeout:
        worker.stop()
        raise


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event for so long; whether it is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


async def _drained(source: Source) -> Drained:
    return Drained(*await source.left_over())


def run(options: Options, say: Callable[[str], None]) -> Drained | None:
    """Run a relay in this process, with its signals: the first SIGTERM or SIGINT ends it cleanly, the second at once.

    Raises `MalformedUrl`, `RelayError`, and KeyboardInterrupt after a clean end by SIGINT.
    """
    return asyncio.run(_with_signals(options, say))


async def _with_signals(options: Options, say: Callable[[str], None]) -> Drained | None:
    relay = Relay(options, say)
    received: list[int] = []

    def stop(number: int) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)
        say("stopping after the batch in flight; a second signal stops at once")
        relay.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    drained = await relay.run()
    if received and received[0] == signal.SIGINT:
        raise KeyboardInterrupt
    return drained


__all__ = ["Drained", "Options", "OptionsDiffer", "Relay", "run"]
