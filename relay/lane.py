"""One lane at work: recover, deliver, and after anything but a clean acknowledgement recover again.

At most one append is on its way. A checkpoint is stored about once a second and at the end; the destination's tail is the truth.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeVar

from relay.destinations.base import InDoubt, Refused, Stored
from relay.errors import DestinationRefused, DestinationUnavailable, LeaseLost, RelayError
from relay.point import tail_of
from relay.reader import Reader
from relay.recovery import find_place
from relay.source import MEMBERS_PER_READ

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from relay.destinations.base import Destination, Limits
    from relay.message import Message
    from relay.pace import Pace
    from relay.point import Lease, Point
    from relay.reader import Batch
    from relay.source import Source

_log = logging.getLogger("relay.lane")
_T = TypeVar("_T")
Why = Literal["moved", "batch", "message", "busy", "in_doubt", "unavailable"]
_FIRST_DELAY = 0.05
# So many relays in a row ended without a word: from then on messages go one by one, for as many as may have been in memory then.
# After so many the message that was tried alone is set aside: five relays ended with it, which is no accident any more.
CAREFUL_AFTER = 3
GIVE_UP_AFTER = 8
_CAREFUL_MESSAGES = 2 * MEMBERS_PER_READ


class Ended(Exception):
    """Raised inside a lane that has to stop."""


class Trouble(RelayError):
    """An append was not acknowledged, or the destination could not be asked. `why` is that of `Refused`, or in_doubt."""

    def __init__(self, why: Why, message: str, batch: Sequence[Message] = ()) -> None:
        super().__init__(message)
        self.why = why
        self.batch = batch


class LaneWorker:
    """Delivers one lane while its lease is held. `until` is the last seal to deliver (None: for ever)."""

    def __init__(
        self, source: Source, destination: Destination, limits: Limits, lease: Lease, *, until: int | None, pace: Pace
    ) -> None:
        self.lease = lease
        self.point: Point = lease.point
        self._source = source
        self._destination = destination
        self._limits = limits
        self._until = until
        self._pace = pace
        self._careful = _CAREFUL_MESSAGES if lease.crashes >= CAREFUL_AFTER else 0
        self._batch_messages = 1 if self._careful else limits.batch_messages
        self._ended = asyncio.Event()
        self._resumed = asyncio.Event()
        self._resumed.set()
        self._saving = asyncio.Lock()
        self._saved_at = time.monotonic()
        self._in_doubt = False
        self._in_doubt_saved = False
        self._delay = 0.0
        self._healthy = False
        self._failure: Exception | None = None

    async def run(self) -> None:
        """Deliver until stopped, or until `until` is delivered. Raises what stops the destination, and `LeaseLost`."""
        if self._careful:
            _log.warning(
                "lane %s: %s relays ended without a word after position %s; going on one message at a time",
                self.lease.lane,
                self.lease.crashes,
                self.point.position,
            )
        keeper = asyncio.create_task(self._keep())
        try:
            await self._work()
        except RelayError:
            await self._end(keeper)
            with contextlib.suppress(RelayError):  # the error that ended the lane says more
                await self._hand_back()
            raise
        await self._end(keeper)
        await self._hand_back()

    async def _work(self) -> None:
        with contextlib.suppress(Ended):
            while not await self._deliver_or_wait():
                pass

    async def _end(self, keeper: asyncio.Task[None]) -> None:
        self._ended.set()
        await asyncio.wait({keeper})
        if self._failure is not None:
            raise self._failure

    async def _hand_back(self) -> None:
        await self._save()
        await self._source.leave(self.lease)

    def stop(self) -> None:
        """Finish the append that is on its way, store the checkpoint, and end."""
        self._ended.set()

    # -- delivering

    async def _deliver_or_wait(self) -> bool:
        """Deliver until something goes wrong, then wait a little. True when all is delivered."""
        try:
            await self._recover()
            await self._deliver()
        except DestinationUnavailable as error:
            await self._settle(Trouble("unavailable", str(error)))
            return False
        except Trouble as trouble:
            await self._settle(trouble)
            return False
        return True

    async def _recover(self) -> None:
        """Drop every plan; make sure that the lane is still ours, and find the place in what is stored."""
        stored = await self._source.look(self.lease.lane)
        if stored is None or stored.epoch != self.lease.epoch:
            raise LeaseLost(f"another relay has taken lane {self.lease.lane}")
        self._pause(paused=await self._source.is_paused())
        place = await self._unless_ended(find_place(self._source, self._destination, self.lease.lane, self.point))
        if place != self.point:
            _log.info("lane %s goes on after position %s", self.lease.lane, place.position)
        self.point, self._in_doubt = place, False

    async def _deliver(self) -> None:
        reader = Reader(
            self._source,
            self.lease.lane,
            self.point,
            until=self._until,
            batch_messages=self._batch_messages,
            batch_bytes=self._limits.batch_bytes,
            singles=self._limits.singles,
        )
        try:
            while (batch := await self._unless_ended(reader.next())) is not None:
                await self._unless_ended(self._resumed.wait())
                await self._append(batch)
                reader.batch_messages = self._batch_messages
        finally:
            await reader.close()

    async def _append(self, batch: Batch) -> None:
        if not batch.messages:
            self.point = self.point.through(batch.seal, batch.passed)
            return
        if self._careful:
            await self._try_alone(batch)
        outcome = await self._destination.append(self.lease.lane, batch.messages, tail_of(self.point))
        if not isinstance(outcome, Stored):
            raise _trouble(outcome, batch)
        self.point = self.point.after(batch.messages[-1], batch.seal, batch.passed, outcome.token)
        await self._succeeded()

    async def _try_alone(self, batch: Batch) -> None:
        """Relays ended here without a word, as when memory runs out: find the message at which they do, and set it aside."""
        message = batch.messages[0]
        if self.lease.trying == message.message_id and self.lease.crashes >= GIVE_UP_AFTER:
            deaths = self.lease.crashes - CAREFUL_AFTER
            why = f"message {message.message_id} is not tried again: {deaths} relays ended without a word while they delivered it"
            raise Trouble("message", why, batch.messages)
        if not await self._source.try_alone(self.lease, message, CAREFUL_AFTER):
            raise LeaseLost(f"another relay has taken lane {self.lease.lane}")
        self._careful -= 1

    async def _succeeded(self) -> None:
        self._delay = 0.0
        if self._batch_messages < self._limits.batch_messages and not self._careful:
            self._batch_messages = min(self._batch_messages * 2, self._limits.batch_messages)
        if not self._healthy:
            self._healthy = True
            await self._source.report_recovery()

    async def _settle(self, trouble: Trouble) -> None:
        """Make the next attempt smaller or later, as the trouble wants it. The first time a tail has moved, go on at once."""
        self._in_doubt = trouble.why == "in_doubt"
        if trouble.why == "batch" and len(trouble.batch) > 1:
            self._batch_messages = len(trouble.batch) // 2
            return
        if trouble.why == "message" and self._destination.guarantee != "B":
            await self._set_aside(trouble.batch[0], str(trouble))
            return
        if trouble.why != "moved" or self._delay > 0:
            await self._report(trouble)
        if trouble.why == "message" and self._until is not None:
            raise DestinationRefused(
                str(trouble), hint="nothing was skipped: let the destination take it, then run again"
            )
        await self._unless_ended(asyncio.sleep(self._delay * random.uniform(0.5, 1)))  # noqa: S311  no secret
        slowest = self._pace.refused_delay if trouble.why == "message" else self._pace.longest_delay
        self._delay = min(max(self._delay * 2, _FIRST_DELAY), slowest)

    async def _set_aside(self, message: Message, why: str) -> None:
        """The destination refused this message alone, for good: its key is parked, and the others go on."""
        if not await self._source.set_aside(self.lease, message, why):
            raise LeaseLost(f"another relay has taken lane {self.lease.lane}")
        _log.error("lane %s: %s; set aside, see: relay parked", self.lease.lane, why)
        await self._source.report_error(why, stopped=False)
        self._healthy = False

    async def _report(self, trouble: Trouble) -> None:
        _log.warning("lane %s: %s", self.lease.lane, trouble)
        self._healthy = False
        await self._source.report_error(str(trouble), stopped=trouble.why == "message")

    async def _unless_ended(self, work: Awaitable[_T]) -> _T:
        """The result of some work, unless the lane has to stop before it is there."""
        task = asyncio.ensure_future(work)
        if self._ended.is_set():
            task.cancel()
            raise Ended
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({task, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            if not task.done():
                task.cancel()
        if task.cancelled() or not task.done():
            raise Ended
        return task.result()

    # -- keeping the lease

    async def _keep(self) -> None:
        """Store the checkpoint and renew the lease, until the lane ends; a lost lease ends it."""
        try:
            while not self._ended.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), self._pace.checkpoint)
                    return
                await self._save_if_due()
        except Exception as error:  # noqa: BLE001  a lane whose lease is not renewed must not go on
            self._failure = error
            self._ended.set()

    async def _save_if_due(self) -> None:
        renew_at = self._saved_at + self._pace.lease / 3
        if self.point != self.lease.point or self._in_doubt != self._in_doubt_saved or time.monotonic() >= renew_at:
            await self._save()
        else:
            self._pause(paused=await self._source.is_paused())

    async def _save(self) -> None:
        async with self._saving:
            point, in_doubt = self.point, self._in_doubt
            paused = await self._source.checkpoint(self.lease, point, self._pace.lease, in_doubt=in_doubt)
            if paused is None:
                raise LeaseLost(f"another relay has taken lane {self.lease.lane}")
            self.lease = replace(self.lease, point=point)
            self._in_doubt_saved, self._saved_at = in_doubt, time.monotonic()
            self._pause(paused=paused)

    def _pause(self, *, paused: bool) -> None:
        if paused == (not self._resumed.is_set()):
            return
        _log.info("lane %s is %s", self.lease.lane, "paused" if paused else "resumed")
        if paused:
            self._resumed.clear()
        else:
            self._resumed.set()


def _trouble(outcome: Refused | InDoubt, batch: Batch) -> Trouble:
    if isinstance(outcome, InDoubt):
        return Trouble("in_doubt", outcome.reason)
    if outcome.why == "message":
        return Trouble(
            "message", f"message {batch.messages[0].message_id} is refused: {outcome.reason}", batch.messages
        )
    return Trouble(outcome.why, outcome.reason, batch.messages)
