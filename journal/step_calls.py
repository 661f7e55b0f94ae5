"""What a caller asks of a step, checked before anything is sent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypedDict
from uuid import UUID

from journal.connecting import json_text, plain_text
from journal.errors import InvalidKey, StepError, UnknownKind

_LONGEST_WAIT = 2_000_000.0  # seconds; Postgres takes no more than 24 days
_LAST_ATTEMPT = 2**31 - 1


class RunOptions(TypedDict, total=False):
    """The options of a step but its key; `AgentSession.step` says what they mean."""

    arguments: Any
    details: Any
    attempt: int
    join: bool
    wait: float
    kind: str | None
    store_arguments: bool


class StepOptions(RunOptions, total=False):
    """The options of a step."""

    key: str | None


@dataclass(frozen=True)
class Call:
    """What a caller asks of a step. Arguments and details are JSON text; `wait` is in seconds."""

    session_id: UUID
    role: str | None
    tool: str
    key: str | None
    arguments: str | None
    attempt: int
    details: str | None
    kind: str | None
    store_arguments: bool
    join: bool
    wait: float

    def parameters(self) -> dict[str, str | None]:
        """As the statements take it."""
        return {
            "session_id": str(self.session_id),
            "tool": self.tool,
            "key": self.key,
            "arguments": self.arguments,
            "attempt": str(self.attempt),
            "details": self.details,
            "kind": self.kind,
            "store_arguments": "true" if self.store_arguments else "false",
        }


def asked(  # the defaults stand here, once
    session_id: UUID,
    role: str | None,
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
    """The call of a tool. Raises `StepError`, `InvalidKey`, `UnknownKind`, `NotSerializable`."""
    return Call(
        session_id=session_id,
        role=role,
        tool=plain_text(tool, "the name of a tool", StepError) or "",
        key=plain_text(key, "the key of a step", lambda message: InvalidKey(message, tool=tool)),
        arguments=json_text(arguments, "arguments"),
        attempt=_attempt(attempt, tool, key),
        details=json_text(details, "details"),
        kind=plain_text(kind, "the kind of a tool", UnknownKind),
        store_arguments=store_arguments,
        join=join,
        wait=_seconds(wait),
    )


def _attempt(attempt: Any, tool: str, key: str | None) -> int:
    if isinstance(attempt, bool) or not isinstance(attempt, int) or not 1 <= attempt <= _LAST_ATTEMPT:
        raise InvalidKey(
            "attempts are counted from 1", hint="leave it out, or pass next_attempt of the error", tool=tool, key=key
        )
    return attempt


def _seconds(wait: Any) -> float:
    """Zero does not wait, infinity waits as long as Postgres can."""
    if isinstance(wait, bool) or not isinstance(wait, int | float) or math.isnan(wait):
        raise StepError("wait is a number of seconds", hint="such as 10.0; 0 does not wait")
    return min(max(float(wait), 0.0), _LONGEST_WAIT)
