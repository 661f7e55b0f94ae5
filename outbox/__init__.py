"""Messages to the outside world, published in the transaction that they tell about."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outbox.consuming import AsyncInbox as AsyncInbox
    from outbox.consuming import Inbox as Inbox
    from outbox.consuming import inbox as inbox
    from outbox.errors import InvalidTopic as InvalidTopic
    from outbox.errors import MessageTooLarge as MessageTooLarge
    from outbox.errors import NotSerializable as NotSerializable
    from outbox.errors import OutboxError as OutboxError
    from outbox.messages import publish as publish

_HOMES = {
    "AsyncInbox": "outbox.consuming",
    "Inbox": "outbox.consuming",
    "InvalidTopic": "outbox.errors",
    "MessageTooLarge": "outbox.errors",
    "NotSerializable": "outbox.errors",
    "OutboxError": "outbox.errors",
    "inbox": "outbox.consuming",
    "publish": "outbox.messages",
}
__all__ = tuple(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'outbox' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
