"""One connection to Redis: commands and answers, and every failure as an error of ours.

Nothing is ever sent twice: whoever needs a lost connection next makes a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, Any

from relay.destinations.base import read_credentials
from relay.errors import DestinationRefused, DestinationUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio.connection import Connection

    from relay.destinations.base import Url

_ANSWER_SECONDS = 10.0
# redis-py takes these words off the answer, and gives it a class instead.
_WORDS = {
    "NoScriptError": "NOSCRIPT",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "NoPermissionError": "NOPERM",
    "MasterDownError": "MASTERDOWN",
    "ClusterDownError": "CLUSTERDOWN",
    "MovedError": "MOVED",
}


class Said(Exception):
    """The server answered with an error."""


class Link:
    """A connection that is made when it is needed, and never sends anything twice."""

    def __init__(self, url: Url, credentials: str | None) -> None:
        self._url = url
        self._credentials = credentials
        self._connection: Connection | None = None

    async def ask(self, *command: str | int) -> Any:
        """Raises `Said`, `DestinationUnavailable`, and `DestinationRefused` when the package is missing."""
        connection = await self._connected()
        from redis.exceptions import RedisError, ResponseError  # noqa: PLC0415

        try:
            await connection.send_packed_command([_packed(command)], check_health=False)
            return await connection.read_response()
        except ResponseError as error:
            raise Said(f"{_WORDS.get(type(error).__name__, '')} {error}".strip()) from error
        except (RedisError, OSError, asyncio.IncompleteReadError) as error:
            await self.close()
            raise DestinationUnavailable(f"{self._where} did not answer: {_first_line(error)}") from error
        except BaseException:
            await self.close()  # an answer that nobody waits for any more must not be taken for the next one
            raise

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):  # whatever a dying connection says, it is gone
                await connection.disconnect(nowait=True)

    @property
    def _where(self) -> str:
        return f"Redis at {self._url.host}:{self._url.port}"

    async def _connected(self) -> Connection:
        if self._connection is None or not self._connection.is_connected:
            await self.close()
            self._connection = await self._connect()
        return self._connection

    def _options(self) -> dict[str, Any]:
        user, password = _credentials(self._credentials)
        tls = {"ssl_ca_certs": self._url.options.get("ca")} if self._url.options["tls"] else {}
        return {
            "host": self._url.host,
            "port": self._url.port,
            "db": int(self._url.options["database"]),
            "username": user,
            "password": password,
            "socket_timeout": _ANSWER_SECONDS,
            "socket_connect_timeout": _ANSWER_SECONDS,
            "socket_keepalive": True,
            "protocol": 2,
            **tls,
        }

    async def _connect(self) -> Connection:
        try:
            from redis.asyncio.connection import Connection, SSLConnection  # noqa: PLC0415  loaded when it is used
            from redis.asyncio.retry import Retry  # noqa: PLC0415
            from redis.backoff import NoBackoff  # noqa: PLC0415
            from redis.exceptions import AuthenticationError, RedisError, ResponseError  # noqa: PLC0415
        except ImportError as error:
            raise DestinationRefused("redis is not installed", hint="pip install 'agent-journal[redis]'") from error
        options = self._options() | {"retry": Retry(NoBackoff(), 0)}
        connection: Connection = SSLConnection(**options) if self._url.options["tls"] else Connection(**options)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except AuthenticationError as error:
            hint = "give the file with the credentials: --credentials FILE"
            raise DestinationUnavailable(f"{self._where} refuses the credentials", hint=hint) from error
        except ResponseError as error:
            hint = "see the user, its rights and the number of the database in the URL"
            raise DestinationRefused(f"{self._where} refuses: {_first_line(error)}", hint=hint) from error
        except (RedisError, OSError) as error:
            if _is_about_certificates(error):
                hint = "give the file of the authority that signed it: &ca=FILE"
                raise DestinationUnavailable(
                    f"{self._where} shows a certificate that is not trusted", hint=hint
                ) from error
            hint = "check host and port, and that the server runs"
            raise DestinationUnavailable(f"{self._where} cannot be reached", hint=hint) from error
        return connection


def _packed(command: Sequence[str | int]) -> bytes:
    """A command as the protocol has it; redis-py takes three times as long over the thousands of words of an append."""
    words = [word.encode() if isinstance(word, str) else b"%d" % word for word in command]
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


def _is_about_certificates(error: BaseException | None) -> bool:
    return error is not None and (
        isinstance(error, ssl.SSLCertVerificationError) or _is_about_certificates(error.__cause__ or error.__context__)
    )


def _credentials(path: str | None) -> tuple[str | None, str | None]:
    """User and password, or a password alone."""
    if path is None:
        return None, None
    user, colon, password = read_credentials(path).partition(":")
    return (user, password) if colon else (None, user)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
