"""Strict JSON, as jsonb takes it: no NaN, no infinity, no NUL, no lone surrogate, no key that is not text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

_SCALARS = (str, int, float, bool, type(None))
_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=True).encode  # json.dumps would make one for each call


class NotJson(TypeError):
    """A value has no place in strict JSON. `path` names the place, `reason` what is wrong; the value itself is not shown."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} is not strict JSON: {reason}")
        self.path = path
        self.reason = reason


def dumps(value: Any, name: str) -> str:
    """The value as JSON text in ASCII. `name` starts the path in errors, such as `result`. Raises `NotJson`."""
    try:
        for path, reason in _faults(value, name):
            raise NotJson(path, reason)
        return _encode(value)
    except RecursionError:
        raise NotJson(name, "nested too deeply, or contains itself") from None
    except ValueError:  # of int.__str__, the only one that is left
        raise NotJson(name, "a whole number has too many digits") from None


def _faults(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield from _text_faults(value, path)
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, "a number is finite"
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                yield path, f"a key is text, not {type(key).__name__}"
            else:
                yield from _text_faults(key, path)
            yield from _faults(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _faults(item, f"{path}[{index}]")
    elif not isinstance(value, _SCALARS):
        yield path, _hint(value)


def _text_faults(text: str, path: str) -> Iterator[tuple[str, str]]:
    if "\0" in text:
        yield path, "text holds no NUL in PostgreSQL"
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        yield path, "text holds no lone surrogate"


def _hint(value: Any) -> str:
    kind = type(value).__name__
    return f"{kind} is no JSON type; convert it to a dict" if isinstance(value, Mapping) else f"{kind} is no JSON type"
