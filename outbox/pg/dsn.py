"""Which database a command works on: an option, then `DATABASE_URL`, then libpq's own `PG*` variables.

`DATABASE_URL` is often written for SQLAlchemy. Its `+driver` and the options that its drivers add are translated, so that the
same variable serves an application and our commands. What comes out is a libpq connection string.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

if TYPE_CHECKING:
    from urllib.parse import SplitResult

ENVIRONMENT_VARIABLE = "DATABASE_URL"

_URL = re.compile(r"^(?P<scheme>[A-Za-z][A-Za-z0-9]*)(?P<driver>\+[A-Za-z0-9_]+)?://")
_SCHEMES = ("postgresql", "postgres")
_SECRETS = ("password", "sslpassword")

# What drivers call what libpq has another name for.
_RENAMED = {"ssl": "sslmode", "timeout": "connect_timeout", "database": "dbname", "application": "application_name"}
# Options of drivers that say nothing about which database, and how to reach it.
_DRIVERS_OWN = frozenset(
    {
        "async_fallback",
        "command_timeout",
        "executemany_mode",
        "prepare_threshold",
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "statement_cache_size",
        "tcp_keepalive",
        "use_native_uuid",
    }
)
_SHAPE_HINT = (
    "expected postgresql://user@host:5432/database or 'host=… dbname=…'; "
    "in a URL the characters @ : / ? # % of a user name or password are written as %40 %3A %2F %3F %23 %25"
)
_SECRET_HINT = f"put it into PGPASSWORD, ~/.pgpass or {ENVIRONMENT_VARIABLE}"


class DsnError(ValueError):
    """A connection string is not usable. The message holds no part of it; `hint` says what to do."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def resolve_dsn(argument: str | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """The libpq connection string to use; empty when everything is left to `PG*`.

    `argument` comes from the command line, where other users of the machine can read it: a password in it is refused. It may be a
    URL or `name=value` pairs. Raises `DsnError`.
    """
    if argument is not None:
        options = _parse(argument, "the connection string of --dsn")
        if any(name in options for name in _SECRETS):
            raise DsnError("a password on the command line can be read by others", hint=_SECRET_HINT)
        return make_conninfo("", **options)
    url = environ.get(ENVIRONMENT_VARIABLE, "").strip()
    return make_conninfo("", **_parse(url, ENVIRONMENT_VARIABLE)) if url else ""


def _parse(text: str, where: str) -> dict[str, str]:
    """The options of a connection string, by libpq's names."""
    match = _URL.match(text.strip())
    if match is not None and match["scheme"].lower() not in _SCHEMES:
        raise DsnError(f"{where} names another kind of database than PostgreSQL", hint=_SHAPE_HINT)
    try:
        libpq_text = _libpq_url(text.strip(), where) if match is not None else text
        parsed = conninfo_to_dict(libpq_text)
    except (psycopg.Error, ValueError) as error:
        if isinstance(error, DsnError):
            raise
        # Neither libpq's words nor Python's: both may quote a piece of a password that was not escaped.
        raise DsnError(f"{where} is not a PostgreSQL connection string", hint=_SHAPE_HINT) from None
    options = {name: str(value) for name, value in parsed.items() if value is not None}
    _check_port(options, where)
    return options


def _check_port(options: Mapping[str, str], where: str) -> None:
    """libpq looks at the port only when it connects, and then quotes it."""
    ports = options.get("port", "").split(",")
    if any(port and not (port.isdigit() and 0 < int(port) < 65536) for port in ports):
        raise DsnError(f"the port in {where} is not a number from 1 to 65535", hint=_SHAPE_HINT)


def _libpq_url(text: str, where: str) -> str:
    """The URL as libpq reads it: no `+driver`, the drivers' options translated or left out."""
    parts = urlsplit(text)
    if "@" in parts.query:  # a password with a bare question mark: nothing of it may be shown
        raise DsnError(f"{where} is not a PostgreSQL connection string", hint=_SHAPE_HINT)
    pairs = list(_translated(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)), where))
    hosts = [value for name, value in pairs if name == "host"]
    if len(hosts) > 1 or any(":" in host and not host.startswith("/") and "[" not in host for host in hosts):
        return _with_hosts(parts, pairs, hosts)
    return _built(parts, parts.netloc, pairs)


def _translated(pairs: list[tuple[str, str]], where: str) -> Iterator[tuple[str, str]]:
    for given, value in pairs:
        name = _RENAMED.get(given, given)
        if name in _DRIVERS_OWN:
            continue
        if name not in _libpq_names():
            raise DsnError(f"{where} has an option that PostgreSQL does not know: {given}", hint=_SHAPE_HINT)
        yield name, _ssl_mode(value) if given == "ssl" else value


def _with_hosts(parts: SplitResult, pairs: list[tuple[str, str]], hosts: list[str]) -> str:
    """SQLAlchemy's way to name several hosts, `?host=a:5432&host=b:5433`, in libpq's, `//a:5432,b:5433/`."""
    user, at, _ = parts.netloc.rpartition("@")
    return _built(parts, user + at + ",".join(hosts), [(name, value) for name, value in pairs if name != "host"])


def _built(parts: SplitResult, netloc: str, pairs: list[tuple[str, str]]) -> str:
    return urlunsplit(("postgresql", netloc, parts.path, urlencode(pairs, quote_via=quote), parts.fragment))


def _libpq_names() -> frozenset[str]:
    return frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())


def _ssl_mode(value: str) -> str:
    """asyncpg also takes booleans."""
    return {"true": "require", "1": "require", "false": "disable", "0": "disable"}.get(value.lower(), value)
