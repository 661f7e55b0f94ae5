"""What a step decides: how it begins, what an error means, and how it ends. `journal.steps` waits for it."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from journal.connecting import call, json_text
from journal.errors import (
    JournalError,
    OutcomeUnknown,
    ReplayedStepWrites,
    StepError,
    StepFailed,
    TransactionOpen,
    WriteRefused,
)
from journal.open_steps import open_steps
from journal.receipts import Receipt
from journal.step_calls import Call
from outbox.messages import Publishing, refuse_unawaited, unawaited
from outbox.pg.errors import Fault, from_database, is_driver_error, sqlstate_of
from outbox.pg.flow import (
    Acquire,
    Begin,
    Commit,
    CommitLost,
    Effect,
    Flow,
    Flush,
    GiveBack,
    InTransaction,
    Lend,
    Link,
    ReleaseSavepoint,
    Rollback,
    RollbackToSavepoint,
    Savepoint,
)
from outbox.pg.owner import Owner, owner

if TYPE_CHECKING:
    pass

_log = logging.getLogger("journal")

_CALL = """
session_id => (:session_id)::text::uuid, tool => (:tool)::text, key => (:key)::text, arguments => (:arguments)::text::jsonb,
attempt => (:attempt)::text::integer, details => (:details)::text::jsonb, kind => (:kind)::text,
store_arguments => (:store_arguments)::text::boolean
"""
# Called in the select list: as rows of a function the server would first store them away.
_BEGIN = f"""
select journal.enter_step({_CALL}, wait => make_interval(secs => (:wait)::text::float8), own => (:own)::text::boolean)::text
"""
_END = "select journal.end_step((:step_id)::text::uuid, (:result)::text::jsonb, (:last)::text::boolean)::text"
_FAIL = f"""
select to_jsonb(journal.fail_step(
    step_id => (:step_id)::text::uuid, error => (:error)::text::jsonb, result => (:result)::text::jsonb,
    final => (:final)::text::boolean, started_at => (:started_at)::text::timestamptz, {_CALL}))::text
"""
READ_ONLY = "select to_json(set_config('transaction_read_only', 'on', true))::text"
_SET_ROLE = "select json_build_array(current_setting('role'), set_config('role', (:role)::text, true))::text"

SERIALIZATION_FAILURE = "40001"
_READ_ONLY_TRANSACTION = "25006"


class StepFlows:
    """The decisions of a step: how it begins, and how it ends."""

    def __init__(self, link: Link, asked: Call, *, runs_replays: bool = True) -> None:
        self._link = link
        self._call = asked
        self._runs_replays = runs_replays
        self._id: UUID | None = None
        self._conn: Any = None
        self._replayed = False
        self._joined = False
        self._left = False
        self._given: str | None = None
        self._result: Any = None
        self._receipt: Receipt | None = None
        self._role_before: str | None = None
        self._read_only = False
        self._inner: list[StepFlows] = []
        self._unawaited: list[Publishing] = []
        self._unawaited_before: list[Publishing] | None = None
        self.owner: Owner = (0, None)

    # -- what a body and its caller see

    @property
    def id(self) -> UUID:
        """Id of the step; a try that fails keeps it in `journal.steps`."""
        identifier: UUID = self._entered(self._id)
        return identifier

    @property
    def session_id(self) -> UUID:
        """Id of its session."""
        return self._call.session_id

    @property
    def tool(self) -> str:
        """Name of the tool."""
        return self._call.tool

    @property
    def key(self) -> str | None:
        """Idempotency key."""
        return self._call.key

    @property
    def attempt(self) -> int:
        """Which attempt under the key, from 1."""
        return self._call.attempt

    @property
    def conn(self) -> Any:
        """The connection of the step: with a pool, engine or sessionmaker, the one that was checked out for it."""
        return self._entered(self._conn)

    @property
    def replayed(self) -> bool:
        """Whether the key was completed before: run nothing, the result is that of the first time."""
        return self._replayed

    @property
    def joined(self) -> bool:
        """Whether the step is a savepoint of a transaction that was open before; its receipt is pending until that commits."""
        return self._joined

    @property
    def result(self) -> Any:
        """The stored result, decoded; inside the block what `complete` was given; None before that."""
        return self._result

    @property
    def receipt(self) -> Receipt | None:
        """The receipt, once the block was left; of a replay, that of the first time: `journal.receipt` says what became of it."""
        return self._receipt

    def _entered(self, value: Any) -> Any:
        if value is None:
            raise AttributeError("the step has not begun: use it as a context manager")
        return value

    def _take(self, result: Any) -> None:
        """A replay keeps the result of the first time."""
        if self._left:
            raise StepError(
                "the step has ended, and its result with it",
                hint="call complete inside the block",
                tool=self.tool,
                key=self.key,
            )
        if not self._replayed:
            self._given = json_text(result, "result")
            self._result = None if self._given is None else json.loads(self._given)

    # -- how it begins

    def _begun(self) -> Flow[None]:
        self.owner = owner()
        conn = yield Acquire()
        try:
            outer = open_steps.enter(conn, self)
            try:
                yield from self._reserved_somehow()
            except BaseException:
                open_steps.leave(conn, self)
                raise
        except BaseException:
            yield GiveBack()
            raise
        self._conn = conn
        if outer is not None:
            outer._inner.append(self)  # noqa: SLF001  the same class
        yield Lend()
        self._unawaited_before = unawaited.get()
        unawaited.set(self._unawaited)

    def _reserved_somehow(self) -> Flow[None]:
        """A snapshot may be too old to see who held the key until now; a new transaction has a new one."""
        if not self._call.join:
            yield from self._refuse_to_join(
                "a step commits its own transaction", "pass join=True to make it part of that one"
            )
        self._joined = yield InTransaction()
        deadline = time.monotonic() + self._call.wait
        while True:
            if self._joined:
                yield Savepoint()
            try:
                if not self._joined:
                    yield Begin()
                yield from self._reserved()
            except BaseException as error:
                yield from self._undone(error)
                if self._joined or sqlstate_of(error) != SERIALIZATION_FAILURE or time.monotonic() > deadline:
                    raise
            else:
                return

    def _refuse_to_join(self, why: str, otherwise: str = "") -> Flow[None]:
        if (yield InTransaction()):
            hint = "commit or roll back first" + (f", or {otherwise}" if otherwise else "")
            raise TransactionOpen(f"{why}, and a transaction is open on this connection", hint=hint)

    def _reserved(self) -> Flow[None]:
        own = "false" if self._joined else "true"
        begun = yield from call(_BEGIN, **self._call.parameters(), wait=str(float(self._call.wait)), own=own)
        if "failure" in begun:
            raise self._failed_before(begun["failure"], begun["next_attempt"])
        self._id = UUID(begun["step_id"])
        self._replayed = begun["replayed"]
        if self._replayed:
            self._receipt = Receipt.from_row(begun["receipt"])
            self._result = begun["receipt"]["document"]["result"]
            if not self._runs_replays:
                return
        if self._replayed or self._call.kind == "read":
            yield Savepoint()
            self._read_only = True
            if self._joined or not self._replayed:
                yield from call(READ_ONLY)
        yield from self._take_role()

    def _failed_before(self, result: Any, next_attempt: int) -> StepFailed:
        hint = f"attempt {next_attempt} runs it anew"
        return StepFailed(result, hint=hint, tool=self.tool, key=self.key)

    def _take_role(self) -> Flow[None]:
        if self._call.role is not None:
            self._role_before, _ = yield from call(_SET_ROLE, role=self._call.role)

    # -- how it ends

    def _ended(self, error: BaseException | None) -> Flow[None]:
        self._left = True
        unawaited.set(self._unawaited_before)
        try:
            yield from self._ended_either_way(error)
        finally:
            open_steps.leave(self._conn, self)
            yield GiveBack()

    def _ended_either_way(self, error: BaseException | None) -> Flow[None]:
        if error is None:
            try:
                refuse_unawaited(self._unawaited)
                yield from self._completed()
            except BaseException as failure:  # noqa: BLE001  raised again, as what it means
                error = failure
            else:
                return
        meaning = self._meaning(error)
        yield from self._undone(meaning)
        yield from self._recorded(meaning)
        if meaning is error:
            raise error
        raise meaning from error

    def _completed(self) -> Flow[None]:
        yield Flush()
        if self._read_only:
            yield RollbackToSavepoint()
            self._read_only = False
        elif self._role_before is not None:
            yield from call(_SET_ROLE, role=self._role_before)
        if not self._replayed or self._joined:
            yield from self._receipted()
        if self._joined:
            yield ReleaseSavepoint()
            return
        yield Commit()
        for step in self._inner:
            step._outer_committed()  # noqa: SLF001  the same class

    def _receipted(self) -> Flow[None]:
        last = "false" if self._joined else "true"
        ended = yield from call(_END, step_id=str(self._id), result=self._given, last=last)
        if not self._replayed:
            status = "pending" if self._joined else "committed"
            self._receipt = Receipt.from_document(ended["document"], ended["digest"], status)
            self._result = ended["document"]["result"]

    def _outer_committed(self) -> None:
        if self._receipt is not None and self._receipt.status == "pending":
            self._receipt = replace(self._receipt, status="committed")
        for step in self._inner:
            step._outer_committed()  # noqa: SLF001  the same class

    def _meaning(self, error: BaseException) -> BaseException:
        """What an error that left the body, or the commit, is to the caller."""
        names = {"tool": self.tool, "key": self.key}
        if isinstance(error, CommitLost):
            hint = "call again with the same key: it returns the result if the commit took effect, and runs the step if not"
            return OutcomeUnknown("the connection was lost during COMMIT", hint=hint, **names)
        if isinstance(error, StepFailed):
            error.tool, error.key = self.tool, self.key
        if not is_driver_error(error):
            return error
        if sqlstate_of(error) == _READ_ONLY_TRANSACTION:
            return self._written_while_reading(names) or error
        return from_database(error) or error

    def _written_while_reading(self, names: dict[str, str | None]) -> JournalError | None:
        if self._replayed:
            hint = "guard what writes with `if not step.replayed`"
            return ReplayedStepWrites(
                "the body of a replayed step tried to write; nothing was written", hint=hint, **names
            )
        if self._call.kind == "read":
            hint = "give the tool the kind that says what it does"
            return WriteRefused(f"the tool {self.tool} is of kind read, and tried to write", hint=hint)
        return None

    def _undone(self, error: BaseException) -> Flow[None]:
        """Undo what the step did; a connection that is past it must not hide why."""
        effects: list[Effect] = [Rollback()]
        if self._joined:
            effects = [RollbackToSavepoint()] * (2 if self._read_only else 1)
        self._receipt = None
        self._read_only = False
        for effect in effects:
            try:
                yield effect
            except Exception as failure:  # noqa: BLE001  the error that is on its way is the one that matters
                _log.warning("the step could not be rolled back: %s", type(failure).__name__)
                error.add_note(f"the step could not be rolled back: {type(failure).__name__}")

    def _recorded(self, error: BaseException) -> Flow[None]:
        """Leave a row of the failed try. Where that fails too, the first error is the one that matters."""
        if isinstance(error, OutcomeUnknown):
            return
        final = isinstance(error, StepFailed) and not self._replayed
        result = json_text(error.result, "result") if isinstance(error, StepFailed) else None
        try:
            yield Savepoint() if self._joined else Begin(read_committed=True)
            yield from call(
                _FAIL,
                **self._call.parameters(),
                step_id=str(self._id),
                error=json.dumps(description(error)),
                result=result,
                final="true" if final else "false",
                started_at=None,
            )
            yield ReleaseSavepoint() if self._joined else Commit()
        except Exception as failure:  # noqa: BLE001  see above
            _log.warning("a failed step could not be recorded: %s", type(failure).__name__)
            if final:
                error.add_note("the failure could not be recorded: a retry of the key will run the step again")
            with contextlib.suppress(Exception):
                yield RollbackToSavepoint() if self._joined else Rollback()


def description(error: BaseException) -> dict[str, str | None]:
    """What journal.steps keeps of an error: no words of others, for they may hold row values."""
    kind = type(error)
    described: dict[str, str | None] = {
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "sqlstate": sqlstate_of(error),
    }
    return described | ({"message": str(error)} if isinstance(error, Fault) else {})
