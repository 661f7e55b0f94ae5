"""Errors of the outbox: SQLSTATE class OX."""

from __future__ import annotations

from outbox.pg.errors import Fault


class OutboxError(Fault):
    """Root of the errors of the outbox."""

    sqlstate = "OX000"


class MessageTooLarge(OutboxError):
    """The message exceeds what a registered destination takes."""

    sqlstate = "OX001"
    exit_code = 2


class InvalidTopic(OutboxError):
    """The topic is empty, too long, or holds control characters."""

    sqlstate = "OX002"
    exit_code = 2


class NotSerializable(OutboxError, TypeError):
    """The data or the headers are not strict JSON; ``path`` names the place."""

    sqlstate = "OX003"
    exit_code = 2
    attributes = ("path",)
    path: str | None
