"""For services that write through SQLAlchemy's ORM all over: every transaction that writes belongs to an agent session.

import journal.sqlalchemy

journal.sqlalchemy.bind(Session, session_id=current_run.get)      # once; a contextvar says whose request this is
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import event, orm

from journal.connecting import session_id_text
from journal.errors import UnsupportedConnection
from outbox.pg.errors import reraised

__all__ = ["bind"]

# A step has bound its transaction itself.
_BIND = sa.text("""
select case when coalesce(current_setting('journal.binding', true), '') = '' then journal.bind(cast(:session_id as uuid))::text end
""")
_READS = re.compile(r"\s*(select|show|values|table|explain|set|savepoint|release)\b", re.IGNORECASE)
_BOUND = "journal.sqlalchemy bound"


def bind(session_factory: Any, *, session_id: Callable[[], UUID | str | None]) -> None:
    """Bind each transaction of the factory's sessions lazily, at its first write, to the agent session that `session_id()` names.

    `session_factory`: a sessionmaker, scoped_session or async_sessionmaker; call it once for each. `session_id` is asked at the
    first write of each transaction; None: it stays unbound. Reading transactions are left alone. A write is a flush, or a statement
    given to `execute` that is not one of the ORM's or Core's selects; text that begins with select counts as reading. What a
    step does belongs to the step.

    The write raises `UnknownSession`, `SessionClosed`, `SessionStopped`, `NotSessionOwner` or `AlreadyBound`.
    """
    target = _listened(session_factory)

    def bind_once(session: orm.Session) -> None:
        if not session.info.get(_BOUND):
            _bind_transaction(session, session_id())

    def before_flush(session: orm.Session, *_: Any) -> None:
        if session.new or session.dirty or session.deleted:
            bind_once(session)

    def do_orm_execute(state: orm.ORMExecuteState) -> None:
        if not state.is_select and not _reads(state.statement):
            bind_once(state.session)

    def forget(session: orm.Session, *_: Any) -> None:
        session.info.pop(_BOUND, None)

    event.listen(target, "before_flush", before_flush)
    event.listen(target, "do_orm_execute", do_orm_execute)
    event.listen(target, "after_commit", forget)
    event.listen(target, "after_soft_rollback", forget)  # of a savepoint too: the binding may have gone with it


def _bind_transaction(session: orm.Session, session_id: UUID | str | None) -> None:
    if session_id is not None:
        with reraised():
            session.connection().execute(_BIND, {"session_id": session_id_text(session_id)})
    session.info[_BOUND] = True


def _reads(statement: Any) -> bool:
    return isinstance(statement, sa.TextClause) and _READS.match(statement.text) is not None


def _listened(factory: Any) -> Any:
    """What events of the factory's sessions are listened to on: nobody else's sessions."""
    if isinstance(factory, orm.scoped_session):
        return _listened(factory.session_factory)
    if isinstance(factory, orm.sessionmaker):
        return factory
    if hasattr(factory, "configure") and hasattr(
        factory, "class_"
    ):  # an async_sessionmaker, without importing asyncio for others
        base = factory.kw.get("sync_session_class", factory.class_.sync_session_class)
        own = type("BoundSession", (base,), {})
        factory.configure(sync_session_class=own)
        return own
    raise UnsupportedConnection(
        f"{type(factory).__qualname__} makes no sessions",
        hint="pass a sessionmaker, scoped_session or async_sessionmaker",
    )
