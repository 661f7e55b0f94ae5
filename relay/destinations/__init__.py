"""Destinations by URL scheme. A new one enrols itself with its line here; its module is imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from relay.destinations.base import MalformedUrl

if TYPE_CHECKING:
    from relay.destinations.base import Destination

_HOMES = {
    "nats": "relay.destinations.nats:Nats",
    "redis": "relay.destinations.redis:Redis",
    "rediss": "relay.destinations.redis:Redis",
    "postgresql": "relay.destinations.postgres:Postgres",
    "file": "relay.destinations.jsonl:Jsonl",
    "stdout": "relay.destinations.stdout:Stdout",
}
SCHEMES = tuple(_HOMES)


def destination_class(url: str) -> type[Destination]:
    """The class that serves a URL. Raises `MalformedUrl`."""
    scheme = urlsplit(url).scheme if ":" in url else ""
    if scheme not in _HOMES:
        known = ", ".join(f"{name}:" for name in SCHEMES)
        raise MalformedUrl(f"a destination begins with one of {known}" + (f", not {scheme}:" if scheme else ""))
    module, _, name = _HOMES[scheme].partition(":")
    found: type[Destination] = getattr(import_module(module), name)
    return found
