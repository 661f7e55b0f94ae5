"""A message on its way: its content, its place, and the names under which both travel (CloudEvents 1.0)."""

from __future__ import annotations

import json
import re
from typing import NamedTuple
from urllib.parse import quote

# What CloudEvents leaves as it is in header values: printable ASCII but the space, the double quote and the percent sign.
_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_UNSAFE = re.compile(r"[^!#$&-~]")


class Message(NamedTuple):
    """One message at its position in a lane. Ids, data, headers and times are text, as they go on the wire.

    `place` is its number within its seal. `aside`: it was refused or waits behind one that was, and its position stays empty.
    """

    position: int
    source: str
    seal: int
    place: int
    lane: int
    message_id: str
    lineage: str
    topic: str
    key: str | None
    type: str
    data: str | None
    headers: str
    compensates: str | None
    caused_by: str | None
    created_at: str
    bytes: int
    aside: bool = False


def attributes(message: Message) -> dict[str, str]:
    """The CloudEvents attributes of a message by name; extensions say where it stands in its lane."""
    values = {
        "specversion": "1.0",
        "id": message.message_id,
        "type": message.type,
        "source": message.source,
        "time": message.created_at,
        "lineage": message.lineage,
        "lane": str(message.lane),
        "position": str(message.position),
    }
    if message.key is not None:
        values["subject"] = values["partitionkey"] = message.key
    if message.compensates is not None:
        values["compensates"] = message.compensates
    if message.caused_by is not None:
        values["causedby"] = message.caused_by
    return values


def user_headers(message: Message) -> dict[str, str]:
    """The headers that the publisher gave, as text."""
    if message.headers == "{}":
        return {}
    parsed = json.loads(message.headers)
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in parsed.items()}


def body(message: Message) -> bytes:
    """The data as JSON, byte for byte what Postgres holds; nothing when there is none."""
    return b"" if message.data is None else message.data.encode()


def header_value(text: str) -> str:
    """A value as it may stand in a header: what is not printable ASCII is percent-encoded."""
    return quote(text, safe=_SAFE) if _UNSAFE.search(text) else text


def json_line(message: Message) -> bytes:
    """The message as one CloudEvents JSON object on a line of its own."""
    values: dict[str, object] = dict(attributes(message))
    values["lane"], values["position"] = message.lane, message.position
    headers = user_headers(message)
    if headers:
        values["headers"] = headers
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    if message.data is not None:
        text = f'{text[:-1]},"datacontenttype":"application/json","data":{message.data}}}'
    return text.encode() + b"\n"
