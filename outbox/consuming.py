"""The inbox of a consumer: the id of a message is remembered in the commit of the work that it asks for."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, overload
from uuid import UUID

from outbox.errors import OutboxError
from outbox.pg.connections import link
from outbox.pg.errors import NOT_MIGRATED, is_driver_error, reraised, sqlstate_of
from outbox.pg.flow import (
    Acquire,
    Begin,
    Commit,
    CommitLost,
    Flow,
    Flush,
    GiveBack,
    InTransaction,
    Lend,
    Rollback,
    adrive,
    drive,
    scalar,
)

if TYPE_CHECKING:
    from typing import Self

    from outbox.pg.connections.types import AsyncConn, Conn

_TAKE = "select (outbox.take((:consumer)::text, (:message_id)::text))::text"


class _InboxFlows:
    """What entering and leaving decide."""

    def __init__(self, conn: Any, consumer: str, message_id: UUID | str) -> None:
        self._link = link(conn)
        self._parameters = {"consumer": consumer, "message_id": str(message_id)}
        self._own = False
        self._conn: Any = None
        self._fresh: bool | None = None

    @property
    def fresh(self) -> bool:
        """Whether the consumer meets the message for the first time: then do the work, inside the block."""
        if self._fresh is None:
            raise AttributeError("the message is not taken yet: use the inbox as a context manager")
        return self._fresh

    @property
    def conn(self) -> Any:
        """The connection of the block: with a pool, engine or sessionmaker, the one that was checked out for it."""
        return self._conn

    def _entered(self) -> Flow[None]:
        conn = yield Acquire()
        try:
            self._own = not (yield InTransaction())
            if self._own:
                yield Begin()
            self._fresh = (yield from self._taken()) == "true"
        except BaseException:
            if self._own:
                yield Rollback()
            yield GiveBack()
            raise
        self._conn = conn
        yield Lend()

    def _taken(self) -> Flow[str | None]:
        try:
            with reraised():
                return (yield from scalar(_TAKE, **self._parameters))
        except Exception as error:
            if is_driver_error(error) and sqlstate_of(error) in NOT_MIGRATED:
                raise OutboxError(
                    "this database does not have the inbox's schema", hint="run journal migrate"
                ) from error
            raise

    def _left(self, *, well: bool) -> Flow[None]:
        try:
            if well and self._own:
                try:
                    yield Flush()
                    yield Commit()
                except CommitLost as lost:
                    yield Rollback()
                    raise OutboxError(
                        "the connection was lost during COMMIT: nobody knows whether the work was done",
                        hint="let the message be delivered again: if it was, the message is not fresh then",
                    ) from lost
                except BaseException:
                    yield Rollback()
                    raise
            elif self._own:
                yield Rollback()
        finally:
            yield GiveBack()


class Inbox(_InboxFlows):
    """A message being worked on, on a synchronous connection; a context manager, made by `outbox.inbox`."""

    __module__ = "outbox"

    def __enter__(self) -> Self:
        drive(self._entered(), self._link)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        drive(self._left(well=error is None), self._link)


class AsyncInbox(_InboxFlows):
    """The same on an asynchronous connection, with `async with`."""

    __module__ = "outbox"

    async def __aenter__(self) -> Self:
        await adrive(self._entered(), self._link)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await adrive(self._left(well=error is None), self._link)


@overload
def inbox(conn: Conn, consumer: str, message_id: UUID | str) -> Inbox: ...


@overload
def inbox(conn: AsyncConn, consumer: str, message_id: UUID | str) -> AsyncInbox: ...


def inbox(conn: Any, consumer: str, message_id: UUID | str) -> Inbox | AsyncInbox:
    """Work on a message once, however often it arrives: a context manager around the work, in the open transaction or in its own.

    `consumer`: name of who works, such as 'mailer'. `message_id`: the message's id, as delivered (`ce-id`). `.fresh` says whether
    there is work to do; the message counts as worked through when the transaction commits, and arrives anew when it does not.
    A second worker on the same message waits for the first.
    """
    return AsyncInbox(conn, consumer, message_id) if link(conn).is_async else Inbox(conn, consumer, message_id)


inbox.__module__ = "outbox"
