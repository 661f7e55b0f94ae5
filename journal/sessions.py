"""Agent sessions: one run of an agent, the unit of rollback."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from inspect import isawaitable, iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypedDict
from uuid import UUID

from journal.claims import Claim, Proof, ReplyCheck, claimed, listed, reply_checked, said
from journal.connecting import awaited, call, link, perform, plain_text
from journal.current import enter, leave
from journal.errors import SessionError, UnsupportedConnection
from journal.external import AsyncExternal, External, Probe
from journal.rollbacks import is_undoable, plan_rollback
from journal.step_calls import Call, RunOptions, StepOptions, asked
from journal.steps import AsyncStep, Step
from outbox.pg.flow import Flow

if TYPE_CHECKING:
    from typing import Self, Unpack

    from journal.opening import AsyncOpening


_CLOSE = (
    "select to_json(journal.close_session((:session_id)::text::uuid, (:status)::text, (:reason)::text)::text)::text"
)


@dataclass(frozen=True)
class SessionFacts:
    """What a client knows of its session."""

    id: UUID
    agent: str
    task: str
    tenant: str
    role: str | None


class ChildOptions(TypedDict, total=False):
    """The options of a child session; `open_session` says what they mean."""

    task: str
    run_id: str | None
    role: str | None
    hold: str | None
    details: Mapping[str, Any] | None


class ExternalOptions(TypedDict, total=False):
    """The options of an external effect; `AgentSession.step` says what they mean."""

    arguments: Any
    details: Any
    attempt: int
    wait: float
    kind: str | None
    store_arguments: bool


class _Session:
    """What sessions on synchronous and asynchronous connections have in common."""

    def __init__(self, conn: Any, facts: SessionFacts, *, closes: bool) -> None:
        self._conn = conn
        self._facts = facts
        self._closes = closes

    @property
    def id(self) -> UUID:
        """Id of the session."""
        return self._facts.id

    @property
    def agent(self) -> str:
        """Name of the agent."""
        return self._facts.agent

    @property
    def task(self) -> str:
        """What the agent was asked to do."""
        return self._facts.task

    @property
    def tenant(self) -> str:
        """Tenant that the session works for; empty: none."""
        return self._facts.tenant

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.agent!r}>"

    def _asked(self, tool: str, **options: Unpack[StepOptions]) -> Call:
        return asked(self.id, self._facts.role, tool, **options)

    def _closed(self, status: str, reason: str | None) -> Flow[None]:
        plain_text(status, "the status of a session", SessionError)
        plain_text(reason, "a reason", SessionError)
        yield from call(_CLOSE, session_id=str(self.id), status=status, reason=reason)


def _refuse_coroutine(function: Any, what: str) -> None:
    if iscoroutinefunction(function):
        raise UnsupportedConnection(
            f"{what} is a coroutine function, and the session is on a synchronous connection",
            hint="pass a plain function, or open the session on an asynchronous connection",
        )


class AgentSession(_Session):
    """One run of an agent, on a synchronous connection. A value, and a context manager that closes it.

    Leaving the block by an exception closes the session as failed.
    """

    __module__ = "journal"

    def step(self, tool: str, **options: Unpack[StepOptions]) -> Step:
        """One call of a tool, as a context manager: a transaction that takes effect once per key.

        `key`: 1 to 512 bytes, unique per tenant and tool, kept for 30 days; None: no key. `arguments`: what identifies the
        effect; others under the same key are refused. `details`: anything else worth noting. `attempt`: 2 and more run a step
        anew that was rolled back or failed for good. `join`: work in the open transaction, as a savepoint. `wait`: seconds to
        wait for another caller of the key. `kind`: read, idempotent, reversible, compensable or irreversible.
        `store_arguments=False`: keep only a digest of them.

        Entering raises `TransactionOpen`, `ConcurrentStep`, `InvalidKey`, `ArgumentsDiffer`, `StepInProgress`, `StepReversed`,
        `StepFailed`, `AlreadyBound`, or that the session is closed or stopped. Leaving raises what the body raised,
        `ReplayedStepWrites`, `OutcomeUnknown`, or what made the commit fail.
        """
        return Step(link(self._conn), self._asked(tool, **options))

    def run(self, tool: str, fn: Callable[[Step], Any], *, key: str | None, **options: Unpack[RunOptions]) -> Step:
        """Run `fn(step)` as a step; what it returns is the result. A replay does not run it at all. Options as of `step`."""
        _refuse_coroutine(fn, "what session.run is to call")
        with Step(link(self._conn), self._asked(tool, key=key, **options), runs_replays=False) as step:
            if not step.replayed:
                value = fn(step)
                if value is not None:
                    step.complete(value)
        return step

    def external(
        self, tool: str, *, key: str, probe: Probe | None = None, **options: Unpack[ExternalOptions]
    ) -> External:
        """One effect outside the database, such as a charge, as a context manager: never made twice, whoever crashes when.

        Entering commits the intent; the body sends `step.provider_key` as the provider's idempotency key and gives what came back
        to `complete`. What it writes to the database is committed with the outcome. `raise journal.StepFailed(result)` says that
        the effect surely did not take place; after any other exception nobody knows, and `OutcomeUnknown` is raised.

        `probe(provider_key)` is asked where an earlier try left the outcome open: it returns the result of the effect, None where
        there is surely none (the body runs then), and raises where it cannot tell. Without a probe a person says: `journal
        external resolve`. It is called inside a transaction, and so is the body: give both a timeout. Other options as of `step`.

        Entering raises as `step` does, and `OutcomeUnknown`.
        """
        _refuse_coroutine(probe, "the probe")
        return External(link(self._conn), self._asked(tool, key=key, **options), probe)

    def claim(self, text: str, *, receipt: Proof) -> Claim:
        """Record that the agent says so, and which receipt (or step, or id of one) is to back it; None: nothing does.

        Works also when the session is closed. Its verdict is judged anew by `check_reply`, and whenever `journal.claims` is read.
        """
        claim = said(text, receipt)
        found: Claim = perform(self._conn, lambda: claimed(self.id, claim))  # type: ignore[assignment]
        return found

    def check_reply(self, claims: Iterable[Claim | tuple[str, Proof]]) -> ReplyCheck:
        """Judge what a reply claims, just before it is sent: claims made before, or pairs of text and receipt, which are recorded.

        True where each is backed by a receipt that is in effect; else `.unbacked` and `.contradicted` list the others. An empty
        reply is true.
        """
        reply = listed(claims)
        found: ReplyCheck = perform(self._conn, lambda: reply_checked(self.id, reply))  # type: ignore[assignment]
        return found

    def undoable(self) -> bool:
        """Whether a rollback of the session would take back all of it, as things are now. `journal.plan_rollback` says what not."""
        return is_undoable(plan_rollback(self._conn, self.id))

    def child(self, *, agent: str, **options: Unpack[ChildOptions]) -> AgentSession:
        """Open a session of another agent that works for this one, of the same tenant. Options as of `open_session`."""
        from journal.opening import open_session  # noqa: PLC0415  which makes sessions

        child: AgentSession = open_session(self._conn, agent=agent, parent=self.id, **options)
        return child

    def close(self, status: str = "closed", reason: str | None = None) -> None:
        """Close the session, as 'closed' or 'failed'. Does nothing where it is not open any more."""
        perform(self._conn, lambda: self._closed(status, reason))

    def __enter__(self) -> Self:
        enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        leave(self)
        if not self._closes:
            return
        if error is None:
            self.close()
            return
        try:
            self.close("failed", type(error).__name__)
        except Exception as failure:  # noqa: BLE001  the error that is on its way is the one that matters
            error.add_note(f"the session could not be closed: {type(failure).__name__}")


class AsyncAgentSession(_Session):
    """One run of an agent, on an asynchronous connection; as `AgentSession`, with `async with` and `await`."""

    __module__ = "journal"

    def step(self, tool: str, **options: Unpack[StepOptions]) -> AsyncStep:
        """As `AgentSession.step`."""
        return AsyncStep(link(self._conn), self._asked(tool, **options))

    async def run(
        self, tool: str, fn: Callable[[AsyncStep], Any], *, key: str | None, **options: Unpack[RunOptions]
    ) -> AsyncStep:
        """As `AgentSession.run`; `fn` may be a coroutine function."""
        async with AsyncStep(link(self._conn), self._asked(tool, key=key, **options), runs_replays=False) as step:
            if not step.replayed:
                value = fn(step)
                if isawaitable(value):
                    value = await value
                if value is not None:
                    await step.complete(value)
        return step

    def external(
        self, tool: str, *, key: str, probe: Probe | None = None, **options: Unpack[ExternalOptions]
    ) -> AsyncExternal:
        """As `AgentSession.external`; `probe` may be a coroutine function."""
        return AsyncExternal(link(self._conn), self._asked(tool, key=key, **options), probe)

    async def claim(self, text: str, *, receipt: Proof) -> Claim:
        """As `AgentSession.claim`."""
        claim = said(text, receipt)
        found: Claim = await awaited(perform(self._conn, lambda: claimed(self.id, claim)))
        return found

    async def check_reply(self, claims: Iterable[Claim | tuple[str, Proof]]) -> ReplyCheck:
        """As `AgentSession.check_reply`."""
        reply = listed(claims)
        found: ReplyCheck = await awaited(perform(self._conn, lambda: reply_checked(self.id, reply)))
        return found

    async def undoable(self) -> bool:
        """As `AgentSession.undoable`."""
        return is_undoable(await plan_rollback(self._conn, self.id))

    def child(self, *, agent: str, **options: Unpack[ChildOptions]) -> AsyncOpening:
        """As `AgentSession.child`."""
        from journal.opening import open_session  # noqa: PLC0415  which makes sessions

        child: AsyncOpening = open_session(self._conn, agent=agent, parent=self.id, **options)
        return child

    async def close(self, status: str = "closed", reason: str | None = None) -> None:
        """As `AgentSession.close`."""
        await awaited(perform(self._conn, lambda: self._closed(status, reason)))

    async def __aenter__(self) -> Self:
        enter(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        leave(self)
        if not self._closes:
            return
        if error is None:
            await self.close()
            return
        try:
            await self.close("failed", type(error).__name__)
        except Exception as failure:  # noqa: BLE001  the error that is on its way is the one that matters
            error.add_note(f"the session could not be closed: {type(failure).__name__}")
