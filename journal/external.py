"""An external effect, such as a charge by a payment provider: no transaction of ours can hold it, so it is announced first.

The intent, with the key, is committed before the body runs; the step's own transaction holds the intent's row locked until its
outcome is committed with the rows of the body. So a retry finds either the outcome, or somebody who is at it, or an intent that
nobody holds: then nobody knows, and the probe is asked before anything is run again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from journal.connecting import call, json_text
from journal.errors import OutcomeUnknown, ReplayedStepWrites, StepFailed
from journal.receipts import Receipt
from journal.step_calls import Call
from journal.step_flows import READ_ONLY, StepFlows, description
from journal.steps import AsyncStep, Step
from outbox.pg.flow import (
    Begin,
    Commit,
    CommitLost,
    Effect,
    Flow,
    Link,
    Rollback,
    RollbackToSavepoint,
    Savepoint,
    own_transaction,
)

Probe = Callable[[str], Any]

_INTEND = """
select to_jsonb(i)::text
  from journal.intend_step(
       session_id => (:session_id)::text::uuid, tool => (:tool)::text, key => (:key)::text, arguments => (:arguments)::text::jsonb,
       attempt => (:attempt)::text::integer, details => (:details)::text::jsonb, kind => (:kind)::text,
       store_arguments => (:store_arguments)::text::boolean, runner => (:runner)::text::uuid,
       wait => make_interval(secs => (:wait)::text::float8)) i
"""
_TAKE = """
select to_jsonb(t)::text
  from journal.take_external((:step_id)::text::uuid, (:runner)::text::uuid, make_interval(secs => (:wait)::text::float8)) t
"""
_END = "select journal.end_external((:step_id)::text::uuid, (:result)::text::jsonb)::text"
_SETTLE = """
select to_jsonb(journal.settle_external(
       (:step_id)::text::uuid, (:outcome)::text, (:result)::text::jsonb, (:error)::text::jsonb))::text
"""
_HINT = (
    "call again with the same key: the probe says whether it took place; without one: journal external resolve"
    " STEP completed|failed"
)


@dataclass(frozen=True)
class _Ask(Effect):
    """Call a function of the user's that may be a coroutine function."""

    probe: Probe
    provider_key: str

    def on(self, link: Link) -> Any:
        answer = self.probe(self.provider_key)
        return _settled(answer) if link.is_async else answer


async def _settled(answer: Any) -> Any:
    return await answer if hasattr(answer, "__await__") else answer


class _ExternalFlows(StepFlows):
    """What an external effect does otherwise than a step in the database alone."""

    def __init__(self, link: Link, asked: Call, probe: Probe | None) -> None:
        super().__init__(link, asked)
        self._probe = probe
        self._runner = ""
        self._provider_key: str | None = None
        self._runs = False
        self._met: BaseException | None = None  # what the body, or the commit, ended with

    @property
    def provider_key(self) -> str:
        """What to give the provider as idempotency key: the same for every try of this effect, and for no other effect.

        Raises `ReplayedStepWrites` in a replay: there is nothing to send.
        """
        if self._replayed:
            raise ReplayedStepWrites(
                "the body of a replayed external effect tried to make it again; nothing was sent",
                hint="guard what the provider is sent with `if not step.replayed`",
                tool=self.tool,
                key=self.key,
            )
        key: str = self._entered(self._provider_key)
        return key

    # -- how it begins

    def _reserved_somehow(self) -> Flow[None]:
        yield from self._refuse_to_join("an external effect commits its intent first")
        self._runner, self._runs = str(uuid4()), False  # of this entering alone: what it may run, it has not run yet
        while (yield from self._is_open()):
            try:
                turn = yield from self._turn()
            except BaseException as error:
                yield from self._undone(error)
                raise
            if turn == "run":
                self._runs = True
                return
        self._id = None
        yield from super()._reserved_somehow()

    def _is_open(self) -> Flow[bool]:
        """Record the intent, or find the one that holds the key; whether its outcome is still open."""
        work = call(_INTEND, **self._call.parameters(), runner=self._runner, wait=str(float(self._call.wait)))
        intent = yield from own_transaction(work)
        self._id = UUID(intent["step_id"])
        return bool(intent["external"])

    def _turn(self) -> Flow[str]:
        # At a stronger level its commit could fail after the effect was made, for what others did elsewhere.
        yield Begin(read_committed=True)
        taken = yield from call(_TAKE, step_id=str(self._id), runner=self._runner, wait=str(float(self._call.wait)))
        self._provider_key = taken["provider_key"]
        if taken["turn"] == "run":
            yield from self._take_role()
        elif taken["turn"] == "ask":
            yield from self._reconciled()
        else:
            yield Rollback()
        return str(taken["turn"])

    def _reconciled(self) -> Flow[None]:
        """Somebody else was at it, and died or could not tell. The transaction holds the row: nobody else asks meanwhile."""
        if self._probe is None:
            yield from self._settled("unknown")
            raise self._unknown()
        try:
            found = yield from self._answer_of(self._probe)
            result = json_text(found, "result")
        except StepFailed as error:
            yield from self._settled("failed", result=json_text(error.result, "result"))
            return
        except Exception as error:
            yield from self._settled("unknown", error=json.dumps(description(error)))
            raise self._unknown() from error
        if found is None:
            yield from self._settled("absent")
        else:
            yield from call(_END, step_id=str(self._id), result=result)
            yield Commit()

    def _answer_of(self, probe: Probe) -> Flow[Any]:
        """What the probe says. It may read in the transaction, and leaves nothing of its own there: not even an error."""
        yield Savepoint()
        yield from call(READ_ONLY)
        try:
            return (yield _Ask(probe, str(self._provider_key)))
        finally:
            yield RollbackToSavepoint()

    def _settled(self, outcome: str, *, result: str | None = None, error: str | None = None) -> Flow[None]:
        settled = yield from call(_SETTLE, step_id=str(self._id), outcome=outcome, result=result, error=error)
        yield Commit()
        if not settled:
            raise self._unknown()

    def _unknown(self) -> OutcomeUnknown:
        return OutcomeUnknown(
            "nobody knows yet whether the external effect took place", hint=_HINT, tool=self.tool, key=self.key
        )

    # -- how it ends

    def _receipted(self) -> Flow[None]:
        if not self._runs:
            yield from super()._receipted()
            return
        ended = yield from call(_END, step_id=str(self._id), result=self._given)
        self._receipt = Receipt.from_document(ended["document"], ended["digest"], "committed")
        self._result = ended["document"]["result"]

    def _meaning(self, error: BaseException) -> BaseException:
        if not self._runs:
            return super()._meaning(error)
        self._met = error
        if isinstance(error, StepFailed) or not isinstance(error, Exception):
            return super()._meaning(error)
        return self._unknown()

    def _recorded(self, error: BaseException) -> Flow[None]:
        if not self._runs:
            yield from super()._recorded(error)
        elif not isinstance(self._met, CommitLost):  # then the row may say completed, and whoever asks next will see
            yield from self._settled_for_good(error)

    def _settled_for_good(self, error: BaseException) -> Flow[None]:
        failed = isinstance(error, StepFailed)
        work = call(
            _SETTLE,
            step_id=str(self._id),
            outcome="failed" if failed else "unknown",
            result=json_text(error.result, "result") if isinstance(error, StepFailed) else None,
            error=json.dumps(description(self._met or error)),
        )
        try:
            yield from own_transaction(work)
        except Exception as failure:  # noqa: BLE001  the error that is on its way is the one that matters
            error.add_note(f"the outcome could not be recorded, a retry will ask the probe: {type(failure).__name__}")


class External(_ExternalFlows, Step):
    """An external effect on a synchronous connection; a context manager, made by `AgentSession.external`."""

    __module__ = "journal"


class AsyncExternal(_ExternalFlows, AsyncStep):
    """An external effect on an asynchronous connection; as `External`, with `async with` and `await`."""

    __module__ = "journal"
