"""Agent sessions: one run of an agent, the unit of rollback."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from inspect import isawaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypedDict, overload
from uuid import UUID

from journal.claims import Claim, Proof, ReplyCheck, claimed, reply_checked
from journal.connecting import call, json_text, link, perform, session_id_text, supported
from journal.errors import TransactionRequired
from journal.external import AsyncExternal, External, Probe
from journal.rollbacks import is_undoable, plan_rollback
from journal.steps import AsyncStep, Call, RunOptions, Step, StepOptions
from outbox.pg.flow import Acquire, Flow, GiveBack, InTransaction, run

if TYPE_CHECKING:
    from typing import Self, Unpack

    from outbox.pg.connections.types import AsyncConn, Conn

_OPEN = """
select journal.resume_session(journal.open_session(
           agent => (:agent)::text, task => (:task)::text, parent => (:parent)::text::uuid, details => (:details)::text::jsonb,
           run_id => (:run_id)::text, tenant => (:tenant)::text, hold => (:hold)::text, role => (:role)::text))::text
"""
_RESUME = "select journal.resume_session((:session_id)::text::uuid)::text"
_CLOSE = (
    "select to_json(journal.close_session((:session_id)::text::uuid, (:status)::text, (:reason)::text)::text)::text"
)
_BIND = "select to_json(journal.bind((:session_id)::text::uuid, (:step_id)::text::uuid)::text)::text"

# The sessions whose blocks enclose the caller, innermost last. Kept here and not in the sessions: one session may be entered
# several times, by several tasks.
_entered: ContextVar[tuple[AgentSession | AsyncAgentSession, ...]] = ContextVar("entered_sessions", default=())


@dataclass(frozen=True)
class _Facts:
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

    def __init__(self, conn: Any, facts: _Facts, *, closes: bool) -> None:
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

    def _asked(  # the defaults stand here, once
        self,
        tool: str,
        *,
        key: str | None = None,
        arguments: Any = None,
        details: Any = None,
        attempt: int = 1,
        join: bool = False,
        wait: float = 10.0,
        kind: str | None = None,
        store_arguments: bool = True,
    ) -> Call:
        return Call(
            session_id=self.id,
            role=self._facts.role,
            tool=tool,
            key=key,
            arguments=json_text(arguments, "arguments"),
            attempt=attempt,
            details=json_text(details, "details"),
            kind=kind,
            store_arguments=store_arguments,
            join=join,
            wait=wait,
        )

    def _closed(self, status: str, reason: str | None) -> Flow[None]:
        yield from call(_CLOSE, session_id=str(self.id), status=status, reason=reason)


def _enter(session: AgentSession | AsyncAgentSession) -> None:
    _entered.set((*_entered.get(), session))


def _leave(session: AgentSession | AsyncAgentSession) -> None:
    """Undo the last entering; a task that never entered has nothing to undo."""
    entered = list(_entered.get())
    for place in reversed(range(len(entered))):
        if entered[place] is session:
            del entered[place]
            break
    _entered.set(tuple(entered))


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
        return External(link(self._conn), self._asked(tool, key=key, **options), probe)

    def claim(self, text: str, *, receipt: Proof) -> Claim:
        """Record that the agent says so, and which receipt (or step, or id of one) is to back it; None: nothing does.

        Works also when the session is closed. Its verdict is judged anew by `check_reply`, and whenever `journal.claims` is read.
        """
        found: Claim = perform(self._conn, lambda: claimed(self.id, text, receipt))  # type: ignore[assignment]
        return found

    def check_reply(self, claims: Iterable[Claim | tuple[str, Proof]]) -> ReplyCheck:
        """Judge what a reply claims, just before it is sent: claims made before, or pairs of text and receipt, which are recorded.

        True where each is backed by a receipt that is in effect; else `.unbacked` and `.contradicted` list the others. An empty
        reply is true.
        """
        listed = list(claims)
        found: ReplyCheck = perform(self._conn, lambda: reply_checked(self.id, listed))  # type: ignore[assignment]
        return found

    def undoable(self) -> bool:
        """Whether a rollback of the session would take back all of it, as things are now. `journal.plan_rollback` says what not."""
        return is_undoable(plan_rollback(self._conn, self.id))

    def child(self, *, agent: str, **options: Unpack[ChildOptions]) -> AgentSession:
        """Open a session of another agent that works for this one, of the same tenant. Options as of `open_session`."""
        child: AgentSession = open_session(self._conn, agent=agent, parent=self.id, **options)
        return child

    def close(self, status: str = "closed", reason: str | None = None) -> None:
        """Close the session, as 'closed' or 'failed'. Does nothing where it is not open any more."""
        perform(self._conn, lambda: self._closed(status, reason))

    def __enter__(self) -> Self:
        _enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _leave(self)
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
        found: Claim = await _awaited(perform(self._conn, lambda: claimed(self.id, text, receipt)))
        return found

    async def check_reply(self, claims: Iterable[Claim | tuple[str, Proof]]) -> ReplyCheck:
        """As `AgentSession.check_reply`."""
        listed = list(claims)
        found: ReplyCheck = await _awaited(perform(self._conn, lambda: reply_checked(self.id, listed)))
        return found

    async def undoable(self) -> bool:
        """As `AgentSession.undoable`."""
        return is_undoable(await plan_rollback(self._conn, self.id))

    def child(self, *, agent: str, **options: Unpack[ChildOptions]) -> AsyncOpening:
        """As `AgentSession.child`."""
        child: AsyncOpening = open_session(self._conn, agent=agent, parent=self.id, **options)
        return child

    async def close(self, status: str = "closed", reason: str | None = None) -> None:
        """As `AgentSession.close`."""
        await _awaited(perform(self._conn, lambda: self._closed(status, reason)))

    async def __aenter__(self) -> Self:
        _enter(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _leave(self)
        if not self._closes:
            return
        if error is None:
            await self.close()
            return
        try:
            await self.close("failed", type(error).__name__)
        except Exception as failure:  # noqa: BLE001  the error that is on its way is the one that matters
            error.add_note(f"the session could not be closed: {type(failure).__name__}")


class AsyncOpening:
    """A session that is being opened: `await` it, or enter it by `async with`."""

    def __init__(self, opening: Any) -> None:
        self._opening = opening
        self._session: AsyncAgentSession | None = None

    def __await__(self) -> Generator[Any, None, AsyncAgentSession]:
        return self._opening.__await__()  # type: ignore[no-any-return]

    async def __aenter__(self) -> AsyncAgentSession:
        self._session = await self._opening
        return await self._session.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.__aexit__(kind, error, trace)


@overload
def open_session(
    conn: Conn,
    *,
    agent: str,
    task: str = "",
    run_id: str | None = None,
    parent: UUID | str | None = None,
    tenant: str = "",
    role: str | None = None,
    hold: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> AgentSession: ...


@overload
def open_session(
    conn: AsyncConn,
    *,
    agent: str,
    task: str = "",
    run_id: str | None = None,
    parent: UUID | str | None = None,
    tenant: str = "",
    role: str | None = None,
    hold: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> AsyncOpening: ...


def open_session(
    conn: Any,
    *,
    agent: str,
    task: str = "",
    run_id: str | None = None,
    parent: UUID | str | None = None,
    tenant: str = "",
    role: str | None = None,
    hold: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> AgentSession | AsyncOpening:
    """Open an agent session: a value, and a context manager that closes it.

    `run_id`: unique per tenant and agent; where it names an open session, that one is returned. `parent`: the session that this
    one works for. `role`: set (`set local role`) in each step. `hold`: default of its messages: 'close' or a duration such
    as '30s'. `details`: a JSON object. Raises `SessionClosed`, `SessionStopped`, `NotSessionOwner`.
    """
    parameters = {
        "agent": agent,
        "task": task,
        "run_id": run_id,
        "parent": None if parent is None else session_id_text(parent),
        "tenant": tenant,
        "role": role,
        "hold": hold,
        "details": json_text(dict(details or {}), "details"),
    }
    return _opened(conn, lambda: call(_OPEN, **parameters), closes=True)


@overload
def resume_session(conn: Conn, session_id: UUID | str) -> AgentSession: ...


@overload
def resume_session(conn: AsyncConn, session_id: UUID | str) -> AsyncOpening: ...


def resume_session(conn: Any, session_id: UUID | str) -> AgentSession | AsyncOpening:
    """Go on with an open session, on this or another connection; leaving it does not close it.

    Raises `UnknownSession`, `SessionClosed`, `SessionStopped`, `NotSessionOwner`.
    """
    wanted = session_id_text(session_id)
    return _opened(conn, lambda: call(_RESUME, session_id=wanted), closes=False)


def _opened(conn: Any, work: Callable[[], Flow[Any]], *, closes: bool) -> AgentSession | AsyncOpening:
    if link(conn).is_async:
        return AsyncOpening(_opened_async(conn, work, closes=closes))
    return AgentSession(conn, _facts(perform(conn, work)), closes=closes)


async def _opened_async(conn: Any, work: Callable[[], Flow[Any]], *, closes: bool) -> AsyncAgentSession:
    return AsyncAgentSession(conn, _facts(await _awaited(perform(conn, work))), closes=closes)


async def _awaited(value: Any) -> Any:
    return await value


def _facts(row: Any) -> _Facts:
    return _Facts(UUID(row["session_id"]), row["agent"], row["task"], row["tenant"], row["role"])


def current_session() -> AgentSession | AsyncAgentSession:
    """The session whose block encloses the caller, in this task or thread. Raises `LookupError` outside."""
    entered = _entered.get()
    if not entered:
        raise LookupError("no agent session is open here: use `with journal.open_session(…)` around the call")
    return entered[-1]


@overload
def bind(conn: Conn, session_id: UUID | str, step_id: UUID | str | None = None) -> None: ...


@overload
def bind(conn: AsyncConn, session_id: UUID | str, step_id: UUID | str | None = None) -> Awaitable[None]: ...


def bind(conn: Any, session_id: UUID | str, step_id: UUID | str | None = None) -> Any:
    """From here on, the open transaction's changes and messages belong to the session (and step).

    Raises `TransactionRequired`, `AlreadyBound`, `UnknownSession`, `SessionClosed`, `SessionStopped`, `NotSessionOwner`.
    """
    parameters = {"session_id": session_id_text(session_id), "step_id": None if step_id is None else str(step_id)}
    return run(supported(_bound(parameters)), link(conn))


def _bound(parameters: dict[str, str | None]) -> Flow[None]:
    yield Acquire()
    try:
        if not (yield InTransaction()):
            hint = "begin a transaction first: a binding lasts as long as its transaction"
            raise TransactionRequired("no transaction is open on this connection", hint=hint)
        yield from call(_BIND, **parameters)
    finally:
        yield GiveBack()


for _public in (open_session, resume_session, current_session, bind):
    _public.__module__ = "journal"
