"""Errors are classes and SQLSTATEs, never matched prose.

Every error of ours is a class with a SQLSTATE of its own, raised alike in SQL and in Python. The classes
register themselves here, so one function maps whatever a driver raised:

    Fault
    |- journal.JournalError   class JR   (journal/errors.py)
    |- outbox.OutboxError     class OX   (outbox/errors.py)
    `- relay.RelayError       class RL   (relay/errors.py)

SQL raises with ``errcode``, a safe message, a ``hint`` and, where the class has attributes, a ``detail`` that
is a JSON object of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

# undefined_function, invalid_schema_name, undefined_table: what our own statements meet in a database without our schema.
NOT_MIGRATED = frozenset({"42883", "3F000", "42P01"})

_by_sqlstate: dict[str, type[Fault]] = {}


class Fault(Exception):
    """Root of the errors of this distribution.

    ``str(error)`` holds no row values and no DSN: it is safe to log and to show to a model.

    Attributes: ``sqlstate`` (five characters), ``hint`` (what to do; may be None), ``retryable`` (the same call
    may succeed later), ``exit_code`` (of the shell).
    """

    sqlstate: ClassVar[str] = "XX000"
    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1
    attributes: ClassVar[tuple[str, ...]] = ()
    hint: str | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "sqlstate" in cls.__dict__:
            _by_sqlstate[cls.sqlstate] = cls
            cls.__module__ = cls.__module__.removesuffix(".errors")

    def __init__(self, message: str, *, hint: str | None = None, **values: Any) -> None:
        super().__init__(message)
        self.advise(hint if hint is not None else type(self).hint)
        for name in self.attributes:
            setattr(self, name, values.pop(name, None))
        if values:
            raise TypeError(f"{type(self).__name__} has no attribute {', '.join(sorted(values))}")

    def advise(self, hint: str | None) -> None:
        """Say what to do: `hint`, which a traceback shows too."""
        self.hint = hint
        self.__notes__ = [f"hint: {hint}"] if hint else []

    @classmethod
    def told(cls, message: str, hint: str | None, values: Mapping[str, Any]) -> Fault:
        """The error as the database told it."""
        return cls(message, hint=hint, **values)


def from_database(exc: BaseException) -> Fault | None:
    """The error of ours that a driver's exception carries, or None.

    Takes what psycopg, SQLAlchemy (any dialect) or asyncpg raised; follows ``orig`` and ``__cause__``.
    """
    for candidate in _chain(exc):
        if isinstance(candidate, Fault):
            return candidate
        known = _by_sqlstate.get(_own_sqlstate(candidate) or "")
        if known is not None:
            return _build(known, candidate)
    return None


_DRIVERS = frozenset({"psycopg", "psycopg2", "psycopg_pool", "asyncpg", "sqlalchemy"})


def is_driver_error(exc: BaseException) -> bool:
    """Whether a driver, or SQLAlchemy for it, raised this: not an error of the user's that was caused by one."""
    return isinstance(exc, Exception) and type(exc).__module__.partition(".")[0] in _DRIVERS


@contextmanager
def reraised() -> Iterator[None]:
    """Raise as ours, `from` it, what a driver raised with a SQLSTATE of ours; let everything else pass."""
    try:
        yield
    except Exception as error:
        fault = from_database(error) if is_driver_error(error) else None
        if fault is None:
            raise
        raise fault from error


def sqlstate_of(exc: BaseException) -> str | None:
    """The SQLSTATE that a driver's exception carries, or None."""
    return next(filter(None, map(_own_sqlstate, _chain(exc))), None)


def _own_sqlstate(exc: BaseException) -> str | None:
    for name in ("sqlstate", "pgcode"):
        value = getattr(exc, name, None)
        if isinstance(value, str):
            return value
    return None


def _chain(exc: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = exc
    for _ in range(5):
        if seen is None:
            return
        yield seen
        following = getattr(seen, "orig", None) or seen.__cause__
        seen = following if isinstance(following, BaseException) else None


def _build(known: type[Fault], exc: BaseException) -> Fault:
    message = _diagnostic(exc, "message_primary", "message") or str(exc)
    detail = _attributes(_diagnostic(exc, "message_detail", "detail"))
    values = {name: detail[name] for name in known.attributes if name in detail}
    return known.told(message, _diagnostic(exc, "message_hint", "hint"), values)


def _diagnostic(exc: BaseException, libpq_name: str, asyncpg_name: str) -> str | None:
    source = getattr(exc, "diag", None)
    value = getattr(source, libpq_name, None) if source is not None else getattr(exc, asyncpg_name, None)
    return value if isinstance(value, str) else None


def _attributes(detail: str | None) -> Mapping[str, Any]:
    try:
        value = json.loads(detail or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
