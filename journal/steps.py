"""A step: one call of a tool, in one transaction, taking effect once per key.

What a step decides stands in `journal.step_flows`; `Step` and `AsyncStep` only wait for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from journal.connecting import supported
from journal.step_flows import StepFlows
from outbox.pg.flow import adrive, drive

if TYPE_CHECKING:
    from typing import Self


class Step(StepFlows):
    """A step on a synchronous connection; a context manager, made by `AgentSession.step`.

    Leaving the block commits the transaction with the receipt; leaving it by an exception rolls back and frees the key, except
    `StepFailed`, which records its result under the key.
    """

    __module__ = "journal"

    def complete(self, result: Any = None) -> None:
        """Set the result of the step, as strict JSON; it is stored when the block is left. Raises `NotSerializable`."""
        self._take(result)

    def __enter__(self) -> Self:
        drive(supported(self._begun()), self._link)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _reraising(error, lambda: drive(self._ended(error), self._link))


class AsyncStep(StepFlows):
    """A step on an asynchronous connection; as `Step`, with `async with` and `await`."""

    __module__ = "journal"

    def complete(self, result: Any = None) -> Awaitable[None]:
        """As `Step.complete`. The result is taken at once: an await that was forgotten loses nothing."""
        self._take(result)
        return _Done()

    async def __aenter__(self) -> Self:
        await adrive(supported(self._begun()), self._link)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await adrive(self._ended(error), self._link)
        except BaseException as raised:
            if raised is not error:
                raise


class _Done:
    def __await__(self) -> Generator[Any, None, None]:
        yield from ()


def _reraising(error: BaseException | None, end: Any) -> None:
    """The body's own exception goes on by itself, so that its traceback is as it was."""
    try:
        end()
    except BaseException as raised:
        if raised is not error:
            raise
