"""Delivers the outbox's messages, exactly once and in order where the destination can refuse a repeat."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relay.errors import DestinationRefused as DestinationRefused
    from relay.errors import DestinationUnavailable as DestinationUnavailable
    from relay.errors import ForeignWriter as ForeignWriter
    from relay.errors import LeaseLost as LeaseLost
    from relay.errors import RelayError as RelayError
    from relay.errors import SourceRewound as SourceRewound
    from relay.errors import TailLost as TailLost

__all__ = [
    "DestinationRefused",
    "DestinationUnavailable",
    "ForeignWriter",
    "LeaseLost",
    "RelayError",
    "SourceRewound",
    "TailLost",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'relay' has no attribute {name!r}")
    return getattr(import_module("relay.errors"), name)


def __dir__() -> list[str]:
    return __all__
